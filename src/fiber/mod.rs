//! Stacks that can be parked in the middle of a call and resumed with an answer.
