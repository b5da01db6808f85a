use super::*;
use std::cell::RefCell;
use std::rc::Rc;

const SIZE: usize = 64 * 1024;

fn ask(n: u32) -> Result<u32, NotParked<u32>> {
    park::<u32, u32>(n)
}

#[track_caller]
fn parked<R>(step: Step<u32, u32, R>) -> (Parked<u32, u32, R>, u32) {
    match step {
        Step::Parked(fiber, request) => (fiber, request),
        other => panic!("not parked: {other:?}"),
    }
}

#[track_caller]
fn done<R>(step: Step<u32, u32, R>) -> R {
    match step {
        Step::Done(result) => result,
        other => panic!("not done: {other:?}"),
    }
}

#[track_caller]
fn assert_all_returned(fibers: &Fibers<u32, u32>) {
    let counts = fibers.counts();
    assert_eq!((counts.live(), counts.stacks_in_use()), (0, 0));
}

#[test]
fn many_fibers_interleave_and_each_gets_its_own_answers() {
    let fibers = Fibers::new(SIZE);
    let mut waiting: Vec<_> = (0..100_u32)
        .map(|i| {
            let body = move || (0..5).map(|round| ask(i * 10 + round).unwrap()).collect::<Vec<_>>();
            parked(fibers.start(body).unwrap())
        })
        .collect();
    assert_eq!(fibers.counts().live(), 100);
    for round in 0..4 {
        // Every other one first, so that resumptions do not nest like a stack.
        waiting.rotate_left(37);
        waiting = waiting
            .into_iter()
            .map(|(fiber, request)| {
                assert_eq!(request % 10, round);
                parked(fiber.resume(request + 1000))
            })
            .collect();
    }
    for (fiber, request) in waiting {
        let i = request / 10;
        let expected: Vec<u32> = (0..5).map(|round| i * 10 + round + 1000).collect();
        assert_eq!(done(fiber.resume(request + 1000)), expected);
    }
    assert_all_returned(&fibers);
    assert_eq!(fibers.counts().stacks(), 100);
    assert!(fibers.counts().deepest() > 0);
    assert_eq!(done(fibers.start(|| 1).unwrap()), 1);
    assert_eq!(fibers.counts().stacks(), 100, "a pooled stack was used again");
}

#[test]
fn off_a_fiber_nothing_parks() {
    assert!(!on_fiber::<u32, u32>());
    assert_eq!(ask(3), Err(NotParked::NotOnFiber(3)));
    let fibers = Fibers::<u32, u32>::new(SIZE);
    let other_types = fibers.start(|| (on_fiber::<u32, u32>(), on_fiber::<u8, u32>(), park::<u8, u32>(3)));
    assert_eq!(done(other_types.unwrap()), (true, false, Err(NotParked::NotOnFiber(3))));
    let (fiber, _) = parked(fibers.start(|| ask(1)).unwrap());
    assert_eq!(ask(3), Err(NotParked::NotOnFiber(3)), "the fiber is suspended: we are not on it");
    assert_eq!(done(fiber.resume(5)), Ok(5));
}

#[test]
fn a_fiber_may_run_fibers() {
    let outer_fibers = Fibers::<u32, u32>::new(SIZE);
    let (outer, request) = parked(
        outer_fibers
            .start(|| {
                let inner_fibers = Fibers::<u32, u32>::new(SIZE);
                let (inner, request) = parked(inner_fibers.start(|| ask(1).unwrap() * 10).unwrap());
                assert_eq!(request, 1);
                let answer = ask(2).unwrap();
                let product = done(inner.resume(answer));
                assert_all_returned(&inner_fibers);
                product
            })
            .unwrap(),
    );
    assert_eq!(request, 2);
    assert_eq!(done(outer.resume(7)), 70);
    assert_all_returned(&outer_fibers);
}

/// Notes that it was dropped: what a suspended stack owns must not leak.
struct Tell(Rc<RefCell<Vec<&'static str>>>, &'static str);

impl Drop for Tell {
    fn drop(&mut self) {
        self.0.borrow_mut().push(self.1);
    }
}

#[test]
fn dropping_a_parked_fiber_runs_it_to_its_end() {
    let fibers = Fibers::<u32, u32>::new(SIZE);
    let told = Rc::new(RefCell::new(Vec::new()));
    let tell = Tell(told.clone(), "local dropped");
    let log = told.clone();
    let body = move || {
        let _tell = tell;
        assert_eq!(ask(1), Err(NotParked::Cancelled));
        log.borrow_mut().push("first park cancelled");
        assert_eq!(ask(2), Err(NotParked::Cancelled));
        log.borrow_mut().push("second park cancelled");
    };
    let (fiber, _) = parked(fibers.start(body).unwrap());
    drop(fiber);
    assert_eq!(*told.borrow(), ["first park cancelled", "second park cancelled", "local dropped"]);
    assert_all_returned(&fibers);
}

#[test]
fn a_panic_is_the_result_of_its_fiber_alone() {
    let fibers = Fibers::<u32, u32>::new(SIZE);
    let (good, _) = parked(fibers.start(|| ask(1).unwrap()).unwrap());
    let (bad, _) = parked(fibers.start(|| -> u32 { panic!("number {}", ask(2).unwrap()) }).unwrap());
    match bad.resume(13) {
        Step::Panicked(panic) => assert_eq!(panic.to_string(), "number 13"),
        other => panic!("{other:?}"),
    }
    match fibers.start(|| -> u32 { panic!("at once") }).unwrap() {
        Step::Panicked(panic) => assert_eq!(panic.to_string(), "at once"),
        other => panic!("{other:?}"),
    }
    assert_eq!(done(good.resume(4)), 4);
    assert_all_returned(&fibers);
}

#[test]
fn a_panic_during_cancellation_stays_inside() {
    let fibers = Fibers::<u32, u32>::new(SIZE);
    let (fiber, _) = parked(fibers.start(|| ask(1).unwrap()).unwrap());
    drop(fiber);
    assert_all_returned(&fibers);
}

type Seen = Rc<RefCell<Option<Result<u32, NotParked<u32>>>>>;

struct ParksWhenDropped(Seen);

impl Drop for ParksWhenDropped {
    fn drop(&mut self) {
        *self.0.borrow_mut() = Some(ask(9));
    }
}

#[test]
fn unwinding_is_never_suspended() {
    let fibers = Fibers::<u32, u32>::new(SIZE);
    let seen = Rc::new(RefCell::new(None));
    let parks = ParksWhenDropped(seen.clone());
    let step = fibers.start(move || -> u32 {
        let _parks = parks;
        panic!("unwind")
    });
    assert!(matches!(step.unwrap(), Step::Panicked(_)));
    assert_eq!(*seen.borrow(), Some(Err(NotParked::NotOnFiber(9))));
    assert_all_returned(&fibers);
}

#[test]
fn counts_outlive_the_pool_and_end_at_zero() {
    let fibers = Fibers::<u32, u32>::new(SIZE);
    let counts = fibers.counts();
    let (fiber, _) = parked(fibers.start(|| ask(1).unwrap_or(0)).unwrap());
    drop(fibers);
    assert_eq!((counts.live(), counts.stacks()), (1, 1), "the parked fiber keeps the pool");
    drop(fiber);
    assert_eq!((counts.live(), counts.stacks(), counts.stacks_in_use()), (0, 0, 0));
}

/// Uses about 1 KiB of stack for each level.
#[inline(never)]
fn go_deep(levels: usize) -> u8 {
    let frame = std::hint::black_box([levels as u8; 1024]);
    if levels == 0 { frame[0] } else { frame[levels % 1024].wrapping_add(go_deep(levels - 1)) }
}

const DEPTH: &str = "FIBER_DEPTH_KIB";

#[test]
#[ignore = "the process that an_overflow_hits_the_guard_page starts and that may have to die"]
fn fiber_of_some_depth() {
    let levels = std::env::var(DEPTH).expect("how deep").parse().expect("a number");
    // Other stacks lie around this one: without guard pages an overflow would write to them.
    let fibers = Fibers::<u32, u32>::new(SIZE);
    let neighbours: Vec<_> = (0..8).map(|_| parked(fibers.start(|| ask(1).unwrap_or(0)).unwrap())).collect();
    done(fibers.start(move || go_deep(levels)).unwrap());
    drop(neighbours);
}

#[test]
fn an_overflow_hits_the_guard_page() {
    use std::os::unix::process::ExitStatusExt;
    let end = |depth: usize| {
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        command.args(["fiber::tests::fiber_of_some_depth", "--exact", "--ignored", "--test-threads=1"]);
        let output = command.env(DEPTH, depth.to_string()).output().unwrap();
        (output.status.code(), output.status.signal())
    };
    assert_eq!(end(SIZE / 1024 / 2), (Some(0), None), "half of the stack may be used");
    // Rust's handler of SIGSEGV does not know these stacks, and dies of the signal itself.
    for depth in [SIZE / 1024 + 2, 4 * SIZE / 1024] {
        assert_eq!(end(depth), (None, Some(libc::SIGSEGV)), "{depth} KiB");
    }
}
