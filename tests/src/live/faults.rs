//! A million events through everything that can go wrong: none is lost, none comes twice.

use collector::synthetic::order_processing;

use super::{BEGIN_US, collect, result, served};
use crate::stand_in::{Faults, Machine, Service, World};
use crate::stepscope::Bench;

const EXECUTIONS: usize = 2_000;
const MACHINES: usize = 6;
#[test]
fn of_a_million_events_none_is_lost_and_none_comes_twice() {
    let plan = order_processing();
    let mut world = World::new(8);
    for number in 0..MACHINES {
        let mut machine = Machine::of_plan(&plan);
        let is_express = number % 3 == 2;
        machine = Machine { is_express, log_level: if number % 3 == 0 { "OFF" } else { "ALL" }, ..machine };
        let name = format!("orders-{number}");
        machine.arn = machine.arn.replace("order-processing", &name);
        machine.name = name;
        let place = world.add_machine(machine);
        let every_us = 12 * 3_600 * 1_000_000 / 2_000;
        world.add_runs(place, &plan, EXECUTIONS, BEGIN_US, every_us);
    }
    let (service, address) = served(Service { faults: Faults::all(99), ..Service::new(world) });
    let expected = service.world.n_events();
    assert!(expected >= 1_000_000, "{expected}");
    let bench = Bench::new();
    let more = ["--source", "history,logs"];
    let first = result(&collect(&bench, &address, &more));
    // What failed too often is read the next time.
    result(&collect(&bench, &address, &more));
    let counts = "SELECT count(*), count(DISTINCT (execution_arn, id)) FROM events";
    assert_eq!(bench.rows(counts), [format!("[{expected},{expected}]")], "{first}");
    let complete = "SELECT count(*), count(*) FILTER (WHERE complete) FROM executions";
    let executions = MACHINES * EXECUTIONS;
    assert_eq!(bench.rows(complete), [format!("[{executions},{executions}]")]);
}
