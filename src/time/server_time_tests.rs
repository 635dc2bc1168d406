//! The interval of a server's time.

use proptest::prelude::*;

use super::*;

/// The server's time minus ours.
const OFFSET: i64 = 1_893_499_200_000;

/// A duration of so many milliseconds.
fn ms(millis: i64) -> Duration {
    Duration::from_millis(millis.try_into().unwrap())
}

/// The date of a response that the server sends at this time of our clock.
fn date(at: i64) -> i64 {
    (OFFSET + at).div_euclid(1000) * 1000
}

/// A response after which our clock shows `at`; it took `there` and `back`.
fn learn(time: &mut ServerTime, at: i64, there: i64, back: i64) {
    time.learn(date(at - back), ms(at - back - there), ms(at));
}

fn interval(time: &ServerTime, at: i64) -> [i64; 2] {
    [time.earliest(ms(at)).unwrap() - OFFSET - at, time.latest(ms(at)).unwrap() - OFFSET - at]
}

#[test]
fn nothing_is_known_before_the_first_response() {
    let time = ServerTime::default();
    assert_eq!((time.is_known(), time.earliest(ms(5)), time.latest(ms(5))), (false, None, None));
}

#[test]
fn one_response_tells_the_time_to_a_second_and_the_round_trip() {
    let mut time = ServerTime::default();
    learn(&mut time, 10_500, 20, 30);
    assert_eq!(interval(&time, 10_500), [-501, 1000 - 450 + 2]);
}

#[test]
fn a_response_that_took_longer_than_20_seconds_says_nothing() {
    let mut time = ServerTime::default();
    learn(&mut time, 100_000, 30, 19_971);
    assert!(!time.is_known());
    learn(&mut time, 200_000, 0, 0);
    let known = interval(&time, 200_000);
    learn(&mut time, 500_000, 0, 240_000);
    let [least, most] = interval(&time, 500_000);
    assert!(known[0] - least < 100 && most - known[1] < 100, "{least}..{most}");
    learn(&mut time, 600_000, 30, 19_970);
    assert!(interval(&time, 600_000)[0] < -19_000, "and one that took 20 seconds is believed");
}

#[test]
fn responses_at_other_moments_of_a_second_tell_it_better() {
    let mut time = ServerTime::default();
    for second in 0..40 {
        learn(&mut time, 10_000 + second * 1025, 3, 3);
    }
    let [least, most] = interval(&time, 50_000);
    assert!(most - least < 100, "{least}..{most}");
}

#[test]
fn a_busy_process_knows_the_time_to_some_milliseconds() {
    for pause in [5, 10, 100] {
        let mut time = ServerTime::default();
        // The first responses come in the middle of a second.
        for at in (10_300..14_300).step_by(pause) {
            learn(&mut time, at, 2, 2);
        }
        let [least, most] = interval(&time, 14_300);
        let width = most - least;
        assert!(width <= 2 * i64::try_from(pause).unwrap() + 10, "{least}..{most} with a response every {pause} ms");
    }
}

#[test]
fn two_machines_with_different_clocks_leave_the_time_exact() {
    let mut time = ServerTime::default();
    for at in (10_000..40_000).step_by(10) {
        let ahead = if at % 50 == 0 { 40 } else { 0 };
        time.learn(date(at - 2 + ahead), ms(at - 4), ms(at));
    }
    let [least, most] = interval(&time, 40_000);
    assert!(least <= 0 && 0 <= most && most - least < 100, "{least}..{most}");
}

#[test]
fn two_responses_that_contradict_each_other_are_both_inside() {
    let mut time = ServerTime::default();
    learn(&mut time, 10_500, 0, 0);
    time.learn(date(10_500) + 10_000, ms(10_500), ms(10_500));
    assert_eq!(interval(&time, 10_500), [-501, 10_500 + 2]);
}

#[test]
fn what_is_known_gets_less_exact_with_its_age() {
    let mut time = ServerTime::default();
    learn(&mut time, 10_000, 0, 0);
    let [least, most] = interval(&time, 10_000);
    let [least_later, most_later] = interval(&time, 10_000 + 3_600_000);
    assert_eq!((least - least_later, most_later - most), (721, 720));
}

#[test]
fn a_response_older_than_two_minutes_does_not_count() {
    let mut time = ServerTime::default();
    // This server was an hour ahead, and its clock was set right.
    time.learn(date(10_000) + 3_600_000, ms(10_000), ms(10_000));
    learn(&mut time, 131_000, 1, 1);
    let [least, most] = interval(&time, 131_000);
    assert!(least.abs() <= 1002 && most.abs() <= 1002, "{least}..{most}");
}

#[test]
fn one_wrong_machine_of_the_service_among_many_moves_nothing() {
    let mut time = ServerTime::default();
    for second in 0..60 {
        let at = 10_000 + second * 1100;
        learn(&mut time, at, 2, 2);
        if second % 5 == 0 {
            time.learn(date(at) + 10_000, ms(at), ms(at));
            time.learn(date(at) - 10_000, ms(at), ms(at));
        }
    }
    let [least, most] = interval(&time, 76_000);
    assert!(least.abs() < 1100 && most.abs() < 1100, "{least}..{most}");
}

#[test]
fn a_busy_second_neither_fills_the_memory_nor_hides_later_ones() {
    let mut time = ServerTime::default();
    for at in 10_000..30_000 {
        learn(&mut time, at, 1, 1);
    }
    assert!(time.heard.len() <= 4 * 21, "{}", time.heard.len());
    assert!(time.heard.back().unwrap().at > 28_000);
}

proptest! {
    #[test]
    fn the_true_time_is_always_inside(
        steps in prop::collection::vec(
            prop_oneof![(0_i64..30_000, 0_i64..3_000, 0_i64..3_000), (0_i64..50, 0_i64..20, 0_i64..20)], 1..300,
        ),
        ppm in -100_i64..=100, later in 0_i64..10_000_000,
    ) {
        let (mut time, mut at) = (ServerTime::default(), 100_000);
        // Our clock runs at another rate than the server's.
        let truth = |at: i64| OFFSET + at + at * ppm / 1_000_000;
        for (pause, there, back) in steps {
            at += pause + there + back;
            time.learn(truth(at - back).div_euclid(1000) * 1000, ms(at - back - there), ms(at));
            for at in [at, at + later] {
                let (least, most) = (time.earliest(ms(at)).unwrap(), time.latest(ms(at)).unwrap());
                prop_assert!(least <= truth(at) && truth(at) <= most, "{least} <= {} <= {most}", truth(at));
            }
        }
    }

    #[test]
    fn the_bounds_are_never_the_wrong_way_round(
        dates in prop::collection::vec((-100_000_i64..100_000, 0_i64..5_000, 0_i64..5_000), 1..80), later in 0_i64..1_000_000,
    ) {
        let (mut time, mut at) = (ServerTime::default(), 100_000);
        for (off, took, pause) in dates {
            at += pause + took;
            time.learn(date(at) + off, ms(at - took), ms(at));
        }
        prop_assert!(time.earliest(ms(at + later)) <= time.latest(ms(at + later)));
    }
}
