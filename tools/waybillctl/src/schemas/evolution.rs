//! Rules for a schema and an earlier version of it.

use std::collections::BTreeMap;

use apache_avro::{
    Schema,
    schema::{ArraySchema, MapSchema, RecordSchema, UnionSchema},
    schema_compatibility::{Compatibility, SchemaCompatibility},
};

use super::types::{Field, Symbols, Types, short};

/// Changes other than additions with a default.
///
/// Stricter than Avro's resolution, which would let `int` become `long` or a field with a default disappear: services
/// read by the writer's schema into their own types, and a field that is gone is missed by somebody.
pub(crate) fn problems(earlier: &Types, current: &Types) -> Vec<String> {
    let mut found = Vec::new();
    if earlier.root != current.root {
        found.push(format!("the root was {} and is {}", earlier.root, current.root));
    }
    for (name, before) in &earlier.records {
        match current.records.get(name) {
            Some(now) => record(short(name), before, now, &mut found),
            None if earlier.root != *name => found.push(format!("the record {name} was removed")),
            None => {}
        }
    }
    for (name, before) in &earlier.enums {
        match current.enums.get(name) {
            Some(now) => symbols(short(name), before, now, &mut found),
            None => found.push(format!("the enum {name} was removed")),
        }
    }
    found
}

fn record(name: &str, before: &[Field], now: &[Field], found: &mut Vec<String>) {
    for field in before {
        let place = format!("{name}.{}", field.name);
        let Some(kept) = now.iter().find(|kept| kept.name == field.name) else {
            found.push(format!("{place} was removed"));
            continue;
        };
        if kept.ty != field.ty {
            found.push(format!("{place} was {} and is {}", field.ty, kept.ty));
        }
        if kept.default != field.default {
            let text = |field: &Field| field.default.as_ref().map_or("none".to_owned(), ToString::to_string);
            found.push(format!("{place} had the default {} and has {}", text(field), text(kept)));
        }
        if field.phi.is_some() && kept.phi.is_none() {
            found.push(format!("{place} lost its phi"));
        }
    }
    for field in now.iter().filter(|field| !before.iter().any(|before| before.name == field.name)) {
        if field.default.is_none() {
            found.push(format!("{name}.{} is new and has no default", field.name));
        }
    }
}

fn symbols(name: &str, before: &Symbols, now: &Symbols, found: &mut Vec<String>) {
    let lost = before.all.iter().filter(|symbol| !now.all.contains(symbol));
    found.extend(lost.map(|symbol| format!("{name} lost the symbol {symbol}")));
    let new = now.all.iter().filter(|symbol| !before.all.contains(symbol));
    if before.default.is_none() {
        found.extend(new.map(|symbol| {
            format!("{name} has the new symbol {symbol} and no default for readers that do not know it")
        }));
    }
}

/// Avro's own word: each of the two reads what the other wrote, always.
pub(crate) fn mutually_readable(earlier: &Schema, current: &Schema) -> Result<(), String> {
    // A reference is only comparable with a reference: where the definition stands must not matter.
    match SchemaCompatibility::mutual_read(&inlined(earlier), &inlined(current)) {
        Ok(Compatibility::Full) => Ok(()),
        Ok(Compatibility::Partial) => Err("only some records can be read both ways".to_owned()),
        // The library's text for a wrong type prints both schemas whole.
        Err(error) => {
            Err(format!("not readable both ways: {}", error.to_string().lines().next().unwrap_or_default()))
        }
    }
}

fn inlined(schema: &Schema) -> Schema {
    inline(schema, &mut BTreeMap::new())
}

fn inline(schema: &Schema, known: &mut BTreeMap<String, Schema>) -> Schema {
    match schema {
        Schema::Ref { name } => known.get(&name.fullname(None)).cloned().unwrap_or_else(|| schema.clone()),
        Schema::Array(array) => {
            Schema::Array(ArraySchema { items: Box::new(inline(&array.items, known)), ..array.clone() })
        }
        Schema::Map(map) => {
            Schema::Map(MapSchema { types: Box::new(inline(&map.types, known)), ..map.clone() })
        }
        Schema::Union(union) => {
            let members = union.variants().iter().map(|member| inline(member, known)).collect();
            UnionSchema::new(members).map_or_else(|_| schema.clone(), Schema::Union)
        }
        Schema::Record(record) => {
            let mut whole: RecordSchema = record.clone();
            for field in &mut whole.fields {
                field.schema = inline(&field.schema, known);
            }
            let whole = Schema::Record(whole);
            known.insert(record.name.fullname(None), whole.clone());
            whole
        }
        Schema::Enum(named) => {
            known.insert(named.name.fullname(None), schema.clone());
            schema.clone()
        }
        Schema::Fixed(named) => {
            known.insert(named.name.fullname(None), schema.clone());
            schema.clone()
        }
        other => other.clone(),
    }
}
