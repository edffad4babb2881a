use crate::endpoint::{Endpoint, Fitness};
use crate::hash::mix;
use crate::policy::SubsetPolicy;

/// Which of the endpoints this client keeps to, as places in the list, in the order of the list.
///
/// Each client ranks all instances by a hash of its own seed and the instance, and takes the first: the clients spread
/// evenly, and an instance that joins or leaves changes at most one place in any client's subset.
pub fn subset(endpoints: &[Endpoint], policy: &SubsetPolicy) -> Vec<usize> {
    let mut ranked: Vec<(bool, u64, usize)> = endpoints
        .iter()
        .enumerate()
        .map(|(place, endpoint)| {
            let useless = endpoint.fitness != Fitness::Fit || endpoint.weight == 0;
            (useless, mix(endpoint.hash() ^ mix(policy.seed)), place)
        })
        .collect();
    ranked.sort_unstable();
    ranked.truncate(policy.size);
    let mut places: Vec<usize> = ranked.into_iter().map(|(_, _, place)| place).collect();
    places.sort_unstable();
    places
}
