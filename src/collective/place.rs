//! This process's place among the ranks, from the launcher's variables. Must not know sockets.

use super::Error;

/// Where this process stands, and where rank 0 is met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) rank: usize,
    pub(super) ranks: usize,
    /// The number of this rank on its host.
    pub(super) local: usize,
    /// Rank 0's host and port; nothing when there is one rank only.
    pub(super) meeting: Option<(String, u16)>,
}

/// Rank, ranks and local rank as launchers name them: torchrun, Open MPI's mpiexec, Slurm's srun.
const LAUNCHERS: [[&str; 3]; 3] = [
    ["RANK", "WORLD_SIZE", "LOCAL_RANK"],
    ["OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"],
    ["SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID"],
];

impl Place {
    /// Reads the variables of the first launcher whose rank is set.
    pub(super) fn of(variable: impl Fn(&str) -> Option<String>) -> Result<Place, Error> {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let number = |name: &'static str| {
            let value = variable(name).ok_or_else(|| wrong(name, "is not set"))?;
            value.parse::<usize>().map_err(|_| wrong(name, &format!("is {value:?}, and should be a number from 0 on")))
        };
        let Some([rank, ranks, local]) = LAUNCHERS.into_iter().find(|[rank, ..]| variable(rank).is_some()) else {
            return Err(wrong("RANK", "is not set"));
        };
        let place = Place { rank: number(rank)?, ranks: number(ranks)?, local: number(local)?, meeting: None };
        if place.rank >= place.ranks {
            return Err(wrong(rank, &format!("is {}, with {ranks}={}", place.rank, place.ranks)));
        }
        if place.ranks == 1 {
            return Ok(place);
        }
        let host = variable("MASTER_ADDR").ok_or_else(|| wrong("MASTER_ADDR", "is not set"))?;
        // torchrun listens on MASTER_PORT itself: under it the ranks need a port of their own.
        let port = if variable("SELVEDGE_MASTER_PORT").is_some() { "SELVEDGE_MASTER_PORT" } else { "MASTER_PORT" };
        let number = u16::try_from(number(port)?).ok().filter(|number| *number > 0);
        let number = number.ok_or_else(|| wrong(port, "is no port (1 to 65535)"))?;
        Ok(Place { meeting: Some((host, number)), ..place })
    }
}

fn wrong(variable: &'static str, detail: &str) -> Error {
    Error::Environment { variable, detail: detail.to_owned() }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Place, Error> {
        Place::of(|name| variables.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).to_owned()))
    }

    const TORCH: [(&str, &str); 5] =
        [("RANK", "3"), ("WORLD_SIZE", "8"), ("LOCAL_RANK", "1"), ("MASTER_ADDR", "node-a"), ("MASTER_PORT", "29500")];

    #[test]
    fn the_variables_of_torchrun_are_read() {
        let place = Place { rank: 3, ranks: 8, local: 1, meeting: Some(("node-a".to_owned(), 29500)) };
        assert_eq!(read(&TORCH).unwrap(), place);
    }

    #[test]
    fn a_port_of_our_own_goes_before_the_launchers() {
        let variables = [&TORCH[..], &[("SELVEDGE_MASTER_PORT", "4000")]].concat();
        assert_eq!(read(&variables).unwrap().meeting, Some(("node-a".to_owned(), 4000)));
    }

    #[test]
    fn one_rank_needs_no_meeting() {
        let variables = [("SLURM_PROCID", "0"), ("SLURM_NTASKS", "1"), ("SLURM_LOCALID", "0")];
        assert_eq!(read(&variables).unwrap(), Place { rank: 0, ranks: 1, local: 0, meeting: None });
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        for (without, word) in [(0, "RANK is not set"), (1, "WORLD_SIZE"), (2, "LOCAL_RANK"), (3, "MASTER_ADDR")] {
            let mut variables = TORCH.to_vec();
            variables.remove(without);
            let error = read(&variables).unwrap_err().to_string();
            assert!(error.starts_with(word) && error.contains("MASTER_PORT"), "{error}");
        }
        for (at, value) in [(0, "8"), (0, "-1"), (1, "many"), (4, "0"), (4, "70000")] {
            let mut variables = TORCH.to_vec();
            variables[at].1 = value;
            assert!(read(&variables).is_err(), "{variables:?}");
        }
    }
}
