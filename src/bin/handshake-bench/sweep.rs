//! The `sweep` command: the default run's measurement at many points, each short.

use crate::cli::SweepArgs;
use crate::results;
use crate::run::{self, Plan};
use std::time::Duration;

/// Load before the first slot of a point, at most. Resumption needs tickets first.
const WARM_UP: [Duration; 2] = [Duration::from_millis(300), Duration::from_secs(1)];

/// Measures all points and prints the report; `Err` is what to tell the user.
pub(crate) fn run(args: &SweepArgs) -> Result<(), String> {
    args.check()?;
    let warm_up = args.measure.duration.min(WARM_UP[usize::from(args.tls.resume)]);
    let (tls, measure, slots) = (&args.tls, &args.measure, args.slots);
    let plan = |pace| Plan { tls, measure, slots, pace, warm_up };
    let plans: Vec<_> = args.paces().into_iter().map(plan).collect();
    let results = run::run_all(&args.key, &plans)?;
    print!("{}", results::points(&results));
    run::judge(&results)
}
