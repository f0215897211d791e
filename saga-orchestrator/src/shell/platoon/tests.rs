//! Who waits for whom, in virtual time. Not here: what it brings, which `docs/benchmarks.md` says.

use std::pin::pin;

use futures::FutureExt;
use futures::future::join_all;
use prometheus::HistogramOpts;

use super::habit::tests::watch;
use super::*;

const MANY: usize = 32;

/// Among clients who ask again at once, as far as is known.
fn in_a_closed_loop(most: usize) -> Platoons {
    Platoons { state: Arc::new(Mutex::new(state(most))), boarding: boarding() }
}

fn boarding() -> Histogram {
    Histogram::with_opts(HistogramOpts::new("boarding", "How long each waited.")).unwrap()
}

fn state(most: usize) -> State {
    let mut state = State::new(most);
    let mut now = Instant::now() - Duration::from_secs(60);
    watch(&mut state.habit, &mut now, [2; 20]);
    state
}

/// So many who board now, and may have to wait.
fn board(platoons: &Platoons, count: usize) -> impl Future<Output = Vec<Seat>> + use<> {
    let boarding: Vec<_> = (0..count)
        .map(|_| {
            let platoons = platoons.clone();
            let mut boards = Box::pin(async move { platoons.board().await });
            let seat = boards.as_mut().now_or_never();
            async move {
                match seat {
                    Some(seat) => seat,
                    None => boards.await,
                }
            }
        })
        .collect();
    join_all(boarding)
}

fn numbers(seats: &[Seat]) -> Vec<u64> {
    seats.iter().map(|seat| seat.number).collect()
}

#[tokio::test(start_paused = true)]
async fn who_is_alone_leaves_at_once() {
    let platoons = in_a_closed_loop(MANY);
    for number in 1..5 {
        let seats = board(&platoons, 1).now_or_never().unwrap();
        assert_eq!(numbers(&seats), [number]);
    }
}

#[tokio::test(start_paused = true)]
async fn who_finds_others_away_waits_and_leaves_together_with_all_who_do() {
    let platoons = in_a_closed_loop(MANY);
    let first = board(&platoons, 1).now_or_never().unwrap();
    let mut early = pin!(board(&platoons, 3));
    let mut late = pin!(board(&platoons, 2));
    assert!(early.as_mut().now_or_never().is_none() && late.as_mut().now_or_never().is_none());
    drop(first);
    let (early, late) = (early.now_or_never().unwrap(), late.now_or_never().unwrap());
    assert_eq!((numbers(&early), numbers(&late)), (vec![2; 3], vec![2; 2]));
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_where_clients_come_when_they_like() {
    let platoons = Platoons::new(MANY, boarding());
    for number in 1..10 {
        let _away = board(&platoons, 1).now_or_never().unwrap();
        assert_eq!(numbers(&board(&platoons, 1).now_or_never().unwrap()), [2 * number]);
    }
}

#[tokio::test(start_paused = true)]
async fn where_many_wait_or_are_away_nobody_waits() {
    let platoons = in_a_closed_loop(4);
    let first = board(&platoons, 1).now_or_never().unwrap();
    let mut three = pin!(board(&platoons, 3));
    assert!(three.as_mut().now_or_never().is_none());
    let mut fourth = board(&platoons, 1).now_or_never().unwrap();
    let three = three.await;
    assert_eq!((numbers(&three), numbers(&fourth)), (vec![2; 3], vec![2]));
    // Five are away now, then four, then three.
    fourth.extend(board(&platoons, 1).now_or_never().unwrap());
    assert_eq!(numbers(&fourth), [2, 3]);
    drop((first, fourth));
    let mut next = pin!(board(&platoons, 1));
    assert!(next.as_mut().now_or_never().is_none());
    drop(three);
    assert_eq!(numbers(&next.now_or_never().unwrap()), [4]);
    for none in [0, 1] {
        let never = in_a_closed_loop(none);
        assert_eq!(numbers(&board(&never, 3).now_or_never().unwrap()), [1, 2, 3]);
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_stuck_keeps_the_others_for_a_moment_only() {
    let platoons = in_a_closed_loop(MANY);
    let stuck = board(&platoons, 1).await;
    let begun = Instant::now();
    let seats = board(&platoons, 2).await;
    assert_eq!((numbers(&seats), begun.elapsed()), (vec![2; 2], PATIENCE));
    // A slow mesh is not waited for, until somebody comes home in time.
    let third = board(&platoons, 1).now_or_never().unwrap();
    drop(stuck);
    let fourth = board(&platoons, 1).now_or_never().unwrap();
    assert_eq!((numbers(&third), numbers(&fourth)), (vec![3], vec![4]));
    drop(fourth);
    let mut next = pin!(board(&platoons, 1));
    drop(third);
    assert!(next.as_mut().now_or_never().is_none());
    drop(seats);
    assert_eq!(numbers(&next.now_or_never().unwrap()), [5]);
}

#[tokio::test(start_paused = true)]
async fn a_platoon_is_home_when_three_of_four_are() {
    let platoons = in_a_closed_loop(MANY);
    let first = board(&platoons, 1).await;
    let mut boarding = pin!(board(&platoons, 8));
    assert!(boarding.as_mut().now_or_never().is_none());
    drop(first);
    let mut eight = boarding.await;
    let mut next = pin!(board(&platoons, 1));
    eight.truncate(3);
    assert!(next.as_mut().now_or_never().is_none(), "five of eight are home");
    eight.truncate(2);
    assert_eq!(numbers(&next.now_or_never().unwrap()), [3]);
}

#[tokio::test(start_paused = true)]
async fn who_does_not_wait_any_more_is_not_waited_for() {
    let platoons = in_a_closed_loop(MANY);
    let first = board(&platoons, 1).await;
    let leaves = board(&platoons, 1);
    drop(leaves);
    drop(first);
    assert_eq!(numbers(&board(&platoons, 1).now_or_never().unwrap()), [3]);
}

/// Two groups of clients, each asking again as soon as it is answered, take turns at first.
#[tokio::test(start_paused = true)]
async fn clients_who_ask_again_at_once_find_into_one_platoon() {
    let platoons = in_a_closed_loop(MANY);
    let mut away = board(&platoons, 1).await;
    let mut waiting = Box::pin(board(&platoons, 7));
    for _ in 0..10 {
        tokio::time::advance(Duration::from_millis(10)).await;
        let answered = away.len();
        drop(away);
        tokio::time::advance(RETURN / 2).await;
        let mut again = Box::pin(board(&platoons, answered));
        away = waiting.as_mut().now_or_never().unwrap();
        if let Some(together) = again.as_mut().now_or_never() {
            assert_eq!(numbers(&together)[0], numbers(&away)[0]);
            return;
        }
        waiting = again;
    }
    panic!("they still take turns");
}

fn come(state: &mut State, now: Instant, count: usize) {
    for _ in 0..count {
        state.board(now, oneshot::channel().0);
    }
}

fn leave(state: &mut State, now: Instant) -> (u64, usize) {
    let Next::Leave { number, tickets } = state.next(now) else { panic!("nobody leaves") };
    (number, tickets.len())
}

/// Four come and go for a while, and so many of them ask again at once; then four are away.
fn accustomed(again: usize) -> (State, Instant, u64) {
    let (mut state, mut now) = (state(MANY), Instant::now());
    come(&mut state, now, 4);
    for _ in 0..20 {
        let (number, count) = leave(&mut state, now);
        assert_eq!(count, 4);
        now += Duration::from_millis(10);
        for _ in 0..count {
            state.comes_home(number, now);
        }
        come(&mut state, now + RETURN / 2, again);
        now += RETURN;
        come(&mut state, now, 4 - again);
    }
    let (number, _) = leave(&mut state, now);
    (state, now, number)
}

#[test]
fn who_comes_home_is_waited_for_only_where_many_ask_again() {
    for (again, is_usual) in [(0, false), (2, false), (4, true)] {
        let (mut state, now, number) = accustomed(again);
        come(&mut state, now, 1);
        assert!(!state.comes_home(number, now) && !state.comes_home(number, now));
        assert!(state.comes_home(number, now));
        if is_usual {
            assert!(matches!(state.next(now), Next::LookAt(at) if at == now + RETURN));
        }
        let at = if is_usual { now + RETURN } else { now };
        assert_eq!(leave(&mut state, at), (number + 1, 1), "{again} of four ask again");
    }
}

#[test]
fn who_asks_again_before_the_last_is_home_is_expected_once() {
    let (mut state, now, number) = accustomed(4);
    assert!(!state.comes_home(number, now) && !state.comes_home(number, now));
    come(&mut state, now, 1);
    assert!(state.comes_home(number, now));
    come(&mut state, now, 2);
    assert!(matches!(state.next(now), Next::LookAt(_)));
    come(&mut state, now, 1);
    assert_eq!(leave(&mut state, now), (number + 1, 4));
}
