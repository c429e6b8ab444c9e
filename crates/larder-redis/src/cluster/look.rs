//! What is done with names: reading, changing, deleting.

use std::collections::BTreeMap;
use std::sync::Arc;

use larder_core::Result;
use larder_core::store::Look;
use larder_net::{Deadline, Medium};
use redis::Value;

use super::command::Command;
use super::fleet::{Answer, Fleet};
use super::slot::slot;
use crate::answer;

impl<M: Medium> Fleet<M> {
    /// Reads names, of which the first `taken` are deleted in the same step.
    pub(super) async fn read(
        self: &Arc<Self>,
        names: &[Vec<u8>],
        taken: usize,
    ) -> Result<Vec<Look>> {
        let deadline = self.deadline();
        let mut found = vec![Look::Away; names.len()];
        let mut first = None;
        let indebted = self.pay_before(names, deadline).await;
        let places = (0..names.len()).filter(|&at| !indebted.has(&names[at]));
        let (mut groups, mut last): (Vec<Vec<usize>>, Vec<usize>) = (Vec::new(), Vec::new());
        let mut slots = BTreeMap::new();
        for at in places {
            if at < taken {
                groups.push(vec![at]);
                continue;
            }
            let group = *slots.entry(slot(&names[at])).or_insert_with(|| {
                groups.push(Vec::new());
                groups.len() - 1
            });
            groups[group].push(at);
        }
        let mut in_part = false;
        while !groups.is_empty() {
            let command = |group: &Vec<usize>| match group.as_slice() {
                [at] if *at < taken => Command::take(&names[*at]),
                group => {
                    let names: Vec<&[u8]> = group.iter().map(|&at| names[at].as_slice()).collect();
                    Command::read(&names)
                }
            };
            let commands: Vec<Command<'_>> = groups.iter().map(command).collect();
            let answers = self.run(&commands, deadline).await;
            for (group, answered) in groups.drain(..).zip(answers) {
                match answered {
                    // Its slot is on the move, and the names are at both ends.
                    Ok(answered) if group.len() > 1 && is_divided(&answered.value) && !in_part => {
                        last.extend(group);
                    }
                    answered => match answered.and_then(|answered| looks(answered, group.len())) {
                        Ok(looks) => group
                            .into_iter()
                            .zip(looks)
                            .for_each(|(at, look)| found[at] = look),
                        Err(error) => {
                            first.get_or_insert(error);
                        }
                    },
                }
            }
            in_part = true;
            groups = last.drain(..).map(|at| vec![at]).collect();
        }
        match first.or(indebted.error) {
            Some(error) if found.iter().all(|look| *look == Look::Away) => Err(error),
            _ => Ok(found),
        }
    }

    /// Carries out one command that changes a name.
    pub(super) async fn change(
        self: &Arc<Self>,
        name: &[u8],
        command: Command<'_>,
    ) -> Result<Answer> {
        let deadline = self.deadline();
        let names = std::slice::from_ref(&name);
        self.pay_before(names, deadline).await.settled()?;
        let changed = self.run(&[command], deadline).await.pop();
        let answered = changed.unwrap_or_else(|| Err(answer::unexpected("nothing")))?;
        answer::accepted(&answered.value)?;
        Ok(answered)
    }

    /// Carries out a command for each of these names; fails where one of them has failed.
    pub(super) async fn do_each<'a>(
        self: &Arc<Self>,
        commands: impl IntoIterator<Item = Command<'a>>,
        deadline: Deadline,
    ) -> Result<Vec<Answer>> {
        let commands: Vec<Command<'a>> = commands.into_iter().collect();
        let answers = self.run(&commands, deadline).await;
        let answers: Result<Vec<Answer>> = answers.into_iter().collect();
        let answers = answers?;
        answers
            .iter()
            .try_for_each(|answered| answer::accepted(&answered.value))?;
        Ok(answers)
    }
}

/// Whether a node has only some of the names that it was asked for.
fn is_divided(value: &Value) -> bool {
    matches!(value, Value::ServerError(error) if error.code() == "TRYAGAIN")
}

fn looks(answered: Answer, length: usize) -> Result<Vec<Look>> {
    let life = answered.life;
    let look = |stored: Option<Vec<u8>>| Look::from(stored.and_then(|stored| life.own(stored)));
    let found = match length {
        1 => vec![answer::bytes(answered.value)?],
        _ => answer::strings(answered.value, length)?,
    };
    Ok(found.into_iter().map(look).collect())
}
