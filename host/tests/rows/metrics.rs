//! Metrics: row 45.

use crate::guest::{guest, raw, said};
use proxy_wasm::types::Action;
use proxy_wasm_kit_host::engine::Metric;

#[test]
fn row_45_every_definition_has_an_id_of_its_own() {
    let host = guest()
        .on_configure(|_| {
            for kind in 0..4 {
                raw::say((raw::define_metric(kind, "m"), raw::define_metric(kind, "m")));
            }
            raw::increment_metric(4, 1).unwrap();
            raw::increment_metric(8, 2).unwrap();
            raw::say((raw::get_metric(4), raw::get_metric(8)));
            Action::Continue
        })
        .start();
    let ids = ["(Ok(4), Ok(8))", "(Ok(5), Ok(9))", "(Ok(6), Ok(10))", "(Err(2), Err(2))"];
    assert_eq!(said(&host.log()), [&ids[..], &["(Ok(3), Ok(3))"]].concat());
}

#[test]
fn row_45_counters_grow_gauges_move_histograms_record() {
    let host = guest()
        .on_configure(|_| {
            let define = |kind, name| raw::define_metric(kind, name).unwrap();
            let (counter, gauge, histogram) = (define(0, "c"), define(1, "g"), define(2, "h"));
            let add = raw::increment_metric;
            raw::say((add(counter, 2), add(counter, 0), add(counter, -1), raw::record_metric(counter, 3)));
            raw::say((raw::record_metric(gauge, 7), add(gauge, 2), add(gauge, 0), add(gauge, -5)));
            raw::say((raw::record_metric(histogram, 1), raw::record_metric(histogram, 1)));
            raw::say((
                add(histogram, 1),
                raw::get_metric(histogram),
                raw::get_metric(counter),
                raw::get_metric(gauge),
            ));
            Action::Continue
        })
        .start();
    let expected = [
        "(Ok(()), Err(2), Err(2), Ok(()))",
        "(Ok(()), Ok(()), Ok(()), Ok(()))",
        "(Ok(()), Ok(()))",
        "(Err(2), Err(2), Ok(5), Ok(4))",
    ];
    assert_eq!(said(&host.log()), expected);
    let metrics = [
        ("c", Metric::Counter(5)),
        ("g", Metric::Gauge(4)),
        ("h", Metric::Histogram([1, 1].into_iter().collect())),
    ];
    assert_eq!(host.metrics(), metrics.map(|(name, metric)| (name.to_owned(), metric)).into());
}

#[test]
fn row_45_unknown_ids_are_judged_by_their_type_first() {
    let host = guest()
        .on_configure(|_| {
            let each = |call: fn(u32) -> raw::Answer| [44, 45, 46, 47].map(call).map(Result::unwrap_err);
            raw::say(each(|id| raw::increment_metric(id, 1)));
            raw::say(each(|id| raw::get_metric(id).map(drop)));
            raw::say(each(|id| raw::record_metric(id, 1)));
            Action::Continue
        })
        .start();
    assert_eq!(said(&host.log()), ["[1, 1, 2, 2]", "[1, 1, 2, 2]", "[1, 1, 1, 1]"]);
}
