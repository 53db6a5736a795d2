//! Random plans, and random edits of them between runs.

use std::time::Duration;

use dlc_fleet::job::{ImageVersionId, Job, JobKey, Wave};
use fastrand::Rng;

use crate::random::{between, chance};
use crate::records::Key;
use crate::world::World;

/// One row.
#[derive(Clone, Debug)]
pub struct Row {
    /// Position of its engine in the world.
    pub engine: usize,
    pub wave: usize,
    pub target: String,
    pub expected: Option<String>,
}

/// A plan.
#[derive(Clone, Debug)]
pub struct Plan {
    pub rows: Vec<Row>,
    pub waves: Vec<Wave>,
    /// True if rows contain the names of their engines.
    pub named: bool,
}

impl Plan {
    /// A plan for some engines of this world.
    pub fn draw(random: &mut Rng, world: &World, named: bool) -> Self {
        let waves = if chance(random, 0.35) { random.usize(2..=3) } else { 1 };
        let soak = |random: &mut Rng| {
            let soaks = chance(random, 0.3);
            let soak = between(random, Duration::from_secs(2), Duration::from_secs(90));
            if soaks { soak } else { Duration::ZERO }
        };
        let waves: Vec<Wave> = (0..waves)
            .map(|number| Wave { soak: soak(random), ..Wave::named(format!("wave-{number}")) })
            .collect();
        let mut rows: Vec<Row> = Vec::new();
        for engine in world.candidates() {
            let row = Row {
                engine,
                wave: random.usize(..waves.len()),
                target: world.target(random),
                expected: None,
            };
            // some engines are added by later edits
            if chance(random, 0.85) {
                rows.push(row);
            }
        }
        if rows.is_empty() {
            let engine = world.candidates().next().unwrap_or_default();
            rows.push(Row { engine, wave: 0, target: world.target(random), expected: None });
        }
        let mut plan = Self { rows, waves, named };
        for row in &mut plan.rows {
            if chance(random, 0.1) {
                row.expected = world.image_of(row.engine);
            }
        }
        plan.tidy();
        plan
    }

    /// One to three edits.
    pub fn edit(&mut self, random: &mut Rng, world: &World) {
        for _ in 0..random.usize(1..=3) {
            let position = random.usize(..self.rows.len());
            match random.u8(..5) {
                0 => self.rows[position].target = world.target(random),
                1 if self.rows.len() > 1 => drop(self.rows.remove(position)),
                2 => self.rows[position].expected = world.image_of(self.rows[position].engine),
                3 => self.rows[position].expected = None,
                _ => self.add(random, world),
            }
        }
        self.tidy();
    }

    /// Releases failed rows: they expect the current image of their engine.
    pub fn release(&mut self, random: &mut Rng, world: &World) {
        for row in &mut self.rows {
            let key = world.key_of_row(row);
            if world.is_held(&key) && chance(random, 0.5) {
                row.expected = world.image_of(row.engine);
            }
        }
    }

    fn add(&mut self, random: &mut Rng, world: &World) {
        let free = world.candidates().find(|engine| self.rows.iter().all(|row| row.engine != *engine));
        let Some(engine) = free else { return };
        let wave = random.usize(..self.waves.len());
        let place = random.usize(..=self.rows.len());
        self.rows.insert(place, Row { engine, wave, target: world.target(random), expected: None });
    }

    /// Removes waves without rows.
    fn tidy(&mut self) {
        for number in (0..self.waves.len()).rev() {
            if self.waves.len() > 1 && self.rows.iter().all(|row| row.wave != number) {
                self.waves.remove(number);
                for row in self.rows.iter_mut().filter(|row| row.wave > number) {
                    row.wave -= 1;
                }
            }
        }
    }

    /// Removes rows, unless that would remove all of them.
    pub fn remove_rows(&mut self, is_removed: impl Fn(&Row) -> bool) {
        if self.rows.iter().all(&is_removed) {
            return;
        }
        self.rows.retain(|row| !is_removed(row));
        self.tidy();
    }

    /// The jobs of the plan for the tool.
    pub fn jobs(&self, world: &World) -> Vec<Job> {
        let job = |row: &Row| {
            let engine = &world.engines[row.engine];
            Job {
                key: JobKey {
                    region: engine.region.clone(),
                    data_engine_id: engine.id.clone(),
                    new_image_version_id: ImageVersionId::new(&*row.target),
                },
                wave: row.wave,
                data_engine_name: self.named.then(|| engine.name.clone()),
                expected_image_version_id: row.expected.as_deref().map(ImageVersionId::new),
                note: None,
            }
        };
        self.rows.iter().map(job).collect()
    }
}

/// The key of a job for the oracle.
pub fn key_of(key: &JobKey) -> Key {
    let (region, engine) = (key.region.as_str(), key.data_engine_id.as_str());
    (region.to_owned(), engine.to_owned(), key.new_image_version_id.as_str().to_owned())
}
