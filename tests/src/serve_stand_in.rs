//! The stand-in for AWS as a program of its own, for benchmarks and for trying things out.
//!
//! `cargo run -p stepscope-tests --example stand-in -- PORT past|live COUNT [API=BUCKET/PER_SECOND…]`: a past with so many
//! executions of each of four machines, or executions that start now, so many a second. `GET /stats` tells the calls so far.

#![expect(dead_code, unused_imports, reason = "tests use more of the stand-in than this does")]

#[path = "stand_in/mod.rs"]
mod stand_in;

use std::io::Write;
use std::net::TcpListener;
use std::sync::Arc;

use collector::synthetic::{image_ingest, order_processing};
use stand_in::{Machine, Service, World, real_us};

/// How long a live world goes on.
const LIVE_SECONDS: usize = 900;
const BEGIN_US: i64 = 1_790_000_000_000_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [port, kind, count, quotas @ ..] = &arguments[..] else {
        eprintln!("give PORT past|live COUNT [API=BUCKET/PER_SECOND…]");
        std::process::exit(2);
    };
    let count: usize = count.parse().expect("a number of executions");
    let world = if kind == "live" { live(count) } else { past(count) };
    eprintln!("{} events", world.n_events());
    let mut service = Service::new(world);
    for quota in quotas {
        let (api, rates) = quota.split_once('=').expect("API=BUCKET/PER_SECOND");
        let (bucket, per_second) = rates.split_once('/').expect("BUCKET/PER_SECOND");
        let rates = (bucket.parse().expect("a number"), per_second.parse().expect("a number"));
        service.quotas.insert(api.to_owned().leak(), rates);
    }
    let port: u16 = port.parse().expect("a port");
    let listener = TcpListener::bind(("127.0.0.1", port)).expect("a free port");
    let address = stand_in::serve_on(Arc::new(service), listener);
    writeln!(std::io::stdout(), "{address}").expect("somebody reads");
    loop {
        std::thread::park();
    }
}

fn past(count: usize) -> World {
    let mut world = World::new(1);
    for number in 0..4 {
        let plan = order_processing();
        let mut machine = Machine::of_plan(&plan);
        machine.name = format!("orders-{number}");
        machine.arn = machine.arn.replace("order-processing", &machine.name);
        let place = world.add_machine(machine);
        world.add_runs(place, &plan, count, BEGIN_US, 1_000_000);
    }
    world
}

/// A Standard machine whose histories are read, and an Express one whose logs are, with half of the executions each.
fn live(per_second: usize) -> World {
    let mut world = World::in_real_time(1);
    let (orders, images) = (order_processing(), image_ingest());
    let standard = world.add_machine(Machine::of_plan(&orders));
    let express = world.add_machine(Machine { log_level: "ALL", is_express: true, ..Machine::of_plan(&images) });
    let every_us = i64::try_from(2_000_000 / per_second.max(1)).unwrap_or(1_000_000);
    let begin_us = real_us();
    world.add_runs(standard, &orders, LIVE_SECONDS * per_second / 2, begin_us, every_us);
    world.add_runs(express, &images, LIVE_SECONDS * per_second / 2, begin_us, every_us);
    world
}
