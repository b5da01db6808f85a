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

/// Pending, whatever was computed for it.
fn pending(computed: u8) -> Poll<()> {
    std::hint::black_box(computed);
    Poll::Pending
}

const DEPTH: &str = "FIBER_DEPTH_KIB";

#[test]
#[ignore = "the process that an_overflow_hits_the_guard starts and that may have to die"]
fn fiber_of_some_depth() {
    let levels = std::env::var(DEPTH).expect("how deep").parse().expect("a number");
    // Other stacks lie around this one: without guard pages an overflow would write to them.
    let fibers = Fibers::<u32, u32>::new(SIZE);
    let neighbours: Vec<_> = (0..8).map(|_| parked(fibers.start(|| ask(1).unwrap_or(0)).unwrap())).collect();
    done(fibers.start(move || go_deep(levels)).unwrap());
    drop(neighbours);
}

/// How the process ends in which the ignored test `name` runs at some depth.
fn end_of(name: &str, depth: usize) -> (Option<i32>, Option<i32>) {
    use std::os::unix::process::ExitStatusExt;
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args([&format!("fiber::tests::{name}"), "--exact", "--ignored", "--test-threads=1"]);
    let output = command.env(DEPTH, depth.to_string()).output().unwrap();
    (output.status.code(), output.status.signal())
}

// Rust's handler of SIGSEGV does not know these stacks, and dies of the signal itself.
const SEGFAULT: (Option<i32>, Option<i32>) = (None, Some(libc::SIGSEGV));

#[test]
fn an_overflow_hits_the_guard() {
    let end = |depth| end_of("fiber_of_some_depth", depth);
    assert_eq!(end(SIZE / 1024 / 2), (Some(0), None), "half of the stack may be used");
    for depth in [SIZE / 1024 + 2, 4 * SIZE / 1024] {
        assert_eq!(end(depth), SEGFAULT, "{depth} KiB");
    }
}

/// A stack that has room for the largest frames of C.
const LARGE: usize = 256 * 1024;

#[test]
#[ignore = "the process that a_large_frame_of_c_does_not_step_over_the_guard starts and that may have to die"]
fn fiber_that_verifies_at_some_depth() {
    use aws_lc_rs::signature::{KeyPair, ML_DSA_87, ML_DSA_87_SIGNING, PqdsaKeyPair, UnparsedPublicKey};
    let kib: usize = std::env::var(DEPTH).expect("how deep").parse().expect("a number");
    let pair = PqdsaKeyPair::generate(&ML_DSA_87_SIGNING).unwrap();
    let mut signature = vec![0; ML_DSA_87_SIGNING.signature_len()];
    pair.sign(b"message", &mut signature).unwrap();
    let key = UnparsedPublicKey::new(&ML_DSA_87, pair.public_key().as_ref().to_vec());
    let fibers = Fibers::<u32, u32>::new(LARGE);
    let verify = move || {
        ask(1).unwrap();
        let top = std::ptr::from_ref(&signature).addr();
        at_depth(kib * 1024, top, &|| key.verify(b"message", &signature).unwrap());
    };
    let (fiber, _) = parked(fibers.start(verify).unwrap());
    // Mapped later, they lie below.
    let neighbours: Vec<_> = (0..8).map(|_| parked(fibers.start(|| ask(1).unwrap_or(0)).unwrap())).collect();
    done(fiber.resume(0));
    drop(neighbours);
}

/// Calls `f` with at least `depth` bytes of the stack in use below the address `top`.
#[inline(never)]
fn at_depth(depth: usize, top: usize, f: &dyn Fn()) {
    let frame = std::hint::black_box([1_u8; 1000]);
    let used = top - std::ptr::from_ref(&frame).addr();
    if used >= depth {
        f()
    } else {
        at_depth(depth, top, f)
    }
    std::hint::black_box(&frame);
}

#[test]
fn a_large_frame_of_c_does_not_step_over_the_guard() {
    let end = |depth| end_of("fiber_that_verifies_at_some_depth", depth);
    assert_eq!(end(100), (Some(0), None), "there is room enough");
    // It uses 75 KiB, of which 69 KiB in one frame.
    for left in [60, 40, 20, 10] {
        assert_eq!(end(LARGE / 1024 - left), SEGFAULT, "{left} KiB left");
    }
}

#[test]
fn a_payload_that_panics_is_the_end_of_its_fiber_alone() {
    struct Payload;
    impl Drop for Payload {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }
    let fibers = Fibers::<u32, u32>::new(SIZE);
    let step = fibers.start(|| -> u32 { std::panic::panic_any(Payload) }).unwrap();
    assert!(matches!(step, Step::Panicked(_)), "{step:?}");
    drop(step);
    assert_all_returned(&fibers);
}

/// Says when it was destroyed.
struct Local(std::sync::Arc<std::sync::Mutex<Vec<&'static str>>>);

impl Drop for Local {
    fn drop(&mut self) {
        self.0.lock().unwrap().push("destroyed");
    }
}

thread_local! {
    static LOCAL: RefCell<Option<Local>> = const { RefCell::new(None) };
    static FIRST: RefCell<Option<Parked<u32, u32, ()>>> = const { RefCell::new(None) };
    static LAST: RefCell<Option<Parked<u32, u32, ()>>> = const { RefCell::new(None) };
}

/// Thread-locals are destroyed in one order or the other; the fiber is suspended while it uses one.
#[test]
fn no_fiber_runs_on_among_destroyed_thread_locals() {
    for is_last in [false, true] {
        let told = std::sync::Arc::<std::sync::Mutex<Vec<_>>>::default();
        let log = told.clone();
        let thread = std::thread::spawn(move || {
            if !is_last {
                FIRST.with(|_| ());
            }
            let fibers = Fibers::<u32, u32>::new(SIZE);
            let body = move || {
                LOCAL.with(|local| {
                    *local.borrow_mut() = Some(Local(log.clone()));
                    let _cancelled = ask(1);
                    log.lock().unwrap().push("used");
                });
            };
            let (fiber, _) = parked(fibers.start(body).unwrap());
            if is_last { &LAST } else { &FIRST }.set(Some(fiber));
        });
        thread.join().unwrap();
        let told = told.lock().unwrap();
        assert!(matches!(told[..], ["destroyed"] | ["used", "destroyed"]), "last {is_last}: {told:?}");
    }
}

/// What a fiber says about locks is its own, whatever runs meanwhile and however it goes on.
#[test]
fn being_unlocked_belongs_to_a_fiber() {
    let fibers = Fibers::<u32, u32>::new(SIZE);
    let body = || {
        let inside = unlocked(|| (ask(1).is_ok() && is_unlocked(), ask(2).is_ok() && is_unlocked()));
        (inside, is_unlocked())
    };
    let (first, _) = parked(fibers.start(body).unwrap());
    assert!(!is_unlocked());
    assert!(!done(fibers.start(is_unlocked).unwrap()));
    let (first, _) = unlocked(|| {
        let resumed = parked(first.resume(0));
        assert!(is_unlocked());
        assert!(!done(fibers.start(is_unlocked).unwrap()));
        resumed
    });
    assert_eq!(done(first.resume(0)), ((true, true), false));
    let unwound = contained(|| unlocked(|| panic!("on purpose")));
    assert!(unwound.is_err() && !is_unlocked());
}

#[test]
fn only_a_poll_that_did_nothing_leaves_its_stack_unwiped() {
    let fibers = Fibers::<u32, u32>::new(SIZE);
    let deepest = || fibers.counts().deepest();
    for _ in 0..3 {
        let ((), poll) = done(fibers.poll(|| ((), pending(go_deep(1)))).unwrap());
        assert!(poll.is_pending());
        assert_eq!(deepest(), 0, "nobody has looked");
    }
    // Its own traces, and those of the polls before.
    let (_, poll) = done(fibers.poll(|| ((), Poll::Ready(1))).unwrap());
    assert_eq!(poll, Poll::Ready(1));
    let ready = deepest();
    assert!(ready >= 2048, "{ready}");
    let parks = || {
        ask(1).unwrap();
        ((), pending(go_deep(3)))
    };
    let (fiber, _) = parked(fibers.poll(parks).unwrap());
    assert!(done(fiber.resume(2)).1.is_pending());
    let parked = deepest();
    assert!(parked > ready, "it had parked");
    assert!(done(fibers.poll(|| ((), pending(go_deep(8)))).unwrap()).1.is_pending());
    assert!(deepest() > parked, "it went as deep as cryptography does");
    match fibers.poll(|| -> ((), Poll<()>) { panic!("{}", go_deep(16)) }).unwrap() {
        Step::Panicked(_) => assert!(deepest() >= 16 * 1024, "{}", deepest()),
        other => panic!("{other:?}"),
    }
    assert_all_returned(&fibers);
}
