//! `schemas register`: the deployment's step before any service that writes.

use std::io::Write;

use waybill_contracts::{
    Record,
    billing::ChargeEvent,
    clinical::{AppointmentEvent, EncounterEvent, PatientEvent},
    delivery::{Manifest, Receipt, Status, Subscription},
    inbound::{InboundMessage, InboundRejected},
    lab::{LabDelivery, LabOrder, LabResult},
};
use waybill_kafka::{Registry, RegistryError};

use crate::{
    cli::RegisterArgs,
    failure::{Exit, Failure},
    settings::{self, Settings},
    topics::entries,
};

/// Compiled-in schemas by the catalogue's name of their topic: what services of this version write.
const SCHEMAS: [(&str, &str); 13] = [
    of::<InboundMessage>(),
    of::<InboundRejected>(),
    of::<PatientEvent>(),
    of::<EncounterEvent>(),
    of::<AppointmentEvent>(),
    of::<LabOrder>(),
    of::<ChargeEvent>(),
    of::<LabResult>(),
    of::<LabDelivery>(),
    of::<Subscription>(),
    of::<Manifest>(),
    of::<Receipt>(),
    of::<Status>(),
];

const fn of<T: Record>() -> (&'static str, &'static str) {
    (T::TOPIC, T::SCHEMA)
}

/// Registers what is missing, and verifies all.
pub(crate) async fn run(arguments: &RegisterArgs, out: &mut impl Write) -> Result<Exit, Failure> {
    let settings = Settings::new(&arguments.cluster, arguments.registry_url.as_ref())?;
    let (namespace, targets) = (settings.namespace()?, settings::targets(&arguments.targets)?);
    let failure = |error: RegistryError| Failure::registry(&settings.registry.url, &error);
    let registry = Registry::new(&settings.registry).map_err(failure)?;
    let (mut registered, mut unchanged, mut refused) = (0, 0, 0);
    for (topic, target) in entries(&targets) {
        let Some((_, schema)) = SCHEMAS.iter().find(|(name, _)| *name == topic.name) else {
            return Err(Failure::Failed(format!("no schema is compiled in for {}", topic.name)));
        };
        let name = namespace.topic(
            &target.map_or_else(|| topic.name.clone(), |target| topic.name.replace("{target}", target)),
        );
        // Before the first version: a registry that is not told to compare accepts anything.
        if registry.compatibility(&name).await.map_err(failure)?.as_ref() != Some(&topic.compatibility) {
            registry.set_compatibility(Some(&name), &topic.compatibility).await.map_err(failure)?;
        }
        let id = match registry.look_up(&name, schema).await {
            Ok(id) => {
                unchanged += 1;
                id
            }
            Err(RegistryError::NotRegistered { .. }) => {
                match registry.check_compatible(&name, schema).await {
                    Ok(()) => {
                        let id = registry.register(&name, schema).await.map_err(failure)?;
                        registered += 1;
                        writeln!(out, "registered {name}-value  id {id}")?;
                        id
                    }
                    Err(RegistryError::Incompatible { subject }) => {
                        refused += 1;
                        writeln!(
                            out,
                            "REFUSED    {subject}  not compatible ({}) with the versions registered",
                            topic.compatibility
                        )?;
                        continue;
                    }
                    Err(error) => return Err(failure(error)),
                }
            }
            Err(error) => return Err(failure(error)),
        };
        let level = registry.compatibility(&name).await.map_err(failure)?;
        if registry.look_up(&name, schema).await.map_err(failure)? != id
            || level.as_ref() != Some(&topic.compatibility)
        {
            return Err(Failure::Failed(format!(
                "the registry does not keep what it was told about {name}-value"
            )));
        }
    }
    let all = registered + unchanged + refused;
    writeln!(out, "{all} subjects: {registered} registered, {unchanged} unchanged, {refused} refused")?;
    Ok(if refused == 0 { Exit::Ok } else { Exit::Differs })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use waybill_contracts::topics::catalogue;

    #[test]
    fn every_topic_of_the_catalogue_has_its_schema() {
        let ours: BTreeSet<_> = super::SCHEMAS.iter().map(|(topic, _)| *topic).collect();
        assert_eq!(ours, catalogue().iter().map(|topic| topic.name.as_str()).collect());
    }
}
