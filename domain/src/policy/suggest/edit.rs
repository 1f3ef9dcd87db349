//! Changes to the rows of a file that leave everything else of it as it is, comments and layout included.

use toml_edit::{DocumentMut, Item, Key, TableLike, Value};

use crate::policy::problem::SourceFile;

/// One change of one row.
#[derive(Clone, Debug)]
pub(super) enum Edit {
    /// Another value in place of the one that stands there.
    Replace { claim: String, value: String },
    /// Only these members of a list.
    Keep { claim: String, values: Vec<String> },
    /// A condition that was not there, above another one where that can be.
    Add { claim: String, value: String, before: Option<String> },
    /// A waiver that is not needed any more.
    Unwaive { name: String },
    /// The row itself.
    Drop,
}

/// The files with the changes of one row; the error says why it cannot be changed.
pub(super) fn apply(files: &[SourceFile], role: &str, row: usize, file: &str, edits: &[Edit]) -> Result<Vec<SourceFile>, String> {
    let mut edited = files.to_vec();
    let Some(source) = edited.iter_mut().find(|source| source.path == file) else {
        return Err(format!("{file} is not among the files"));
    };
    let mut document: DocumentMut = source.text.parse().map_err(|_| format!("{file} cannot be edited"))?;
    let unwritten = || format!("the row is written in a way that cannot be edited; see {file}");
    let rows = document.get_mut("role").and_then(|roles| roles.get_mut(role)).and_then(|role| role.get_mut("allow"));
    let rows = rows.ok_or_else(unwritten)?;
    for edit in edits {
        if matches!(edit, Edit::Drop) {
            drop_row(rows, row).ok_or_else(unwritten)?;
        } else {
            one(row_at(rows, row).ok_or_else(unwritten)?, edit).ok_or_else(unwritten)?;
        }
    }
    source.text = document.to_string();
    Ok(edited)
}

fn row_at(rows: &mut Item, at: usize) -> Option<&mut dyn TableLike> {
    match rows {
        Item::ArrayOfTables(tables) => tables.get_mut(at).map(|table| -> &mut dyn TableLike { table }),
        Item::Value(Value::Array(tables)) => {
            tables.get_mut(at).and_then(Value::as_inline_table_mut).map(|table| -> &mut dyn TableLike { table })
        }
        _ => None,
    }
}

fn drop_row(rows: &mut Item, at: usize) -> Option<()> {
    match rows {
        Item::ArrayOfTables(tables) if at < tables.len() => drop(tables.remove(at)),
        Item::Value(Value::Array(tables)) if at < tables.len() => drop(tables.remove(at)),
        _ => return None,
    }
    Some(())
}

fn one(row: &mut dyn TableLike, edit: &Edit) -> Option<()> {
    match edit {
        Edit::Replace { claim, value } => replace(row.get_mut(claim)?.as_value_mut()?, value),
        Edit::Keep { claim, values } => {
            let written = row.get_mut(claim)?.as_value_mut()?;
            let wanted: Vec<Value> = values.iter().map(|value| value.parse().ok()).collect::<Option<_>>()?;
            let list = written.as_array_mut()?;
            list.retain(|member| wanted.iter().any(|value| same(value, member)));
            // What was second may be the first now, without the space that stood before it.
            if let Some(first) =
                list.get_mut(0).filter(|first| first.decor().prefix().is_some_and(|text| text.as_str() == Some(" ")))
            {
                first.decor_mut().set_prefix("");
            }
            let only = list.get(0).filter(|_| list.len() == 1).map(|only| only.clone().decorated("", "").to_string());
            match only {
                Some(only) => replace(written, &only),
                None => (!list.is_empty()).then_some(()),
            }
        }
        Edit::Add { claim, value, before } => add(row, claim, value, before.as_deref()),
        Edit::Unwaive { name } => {
            let waive = row.get_mut("waive")?.as_table_like_mut()?;
            waive.remove(name)?;
            if waive.is_empty() {
                row.remove("waive");
            }
            Some(())
        }
        Edit::Drop => None,
    }
}

/// Another value with the space and the comment that stood around the old one.
fn replace(old: &mut Value, value: &str) -> Option<()> {
    let decor = old.decor().clone();
    *old = value.parse().ok()?;
    *old.decor_mut() = decor;
    Some(())
}

fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::String(a), Value::String(b)) => a.value() == b.value(),
        (Value::Integer(a), Value::Integer(b)) => a.value() == b.value(),
        (Value::Boolean(a), Value::Boolean(b)) => a.value() == b.value(),
        _ => false,
    }
}

/// A condition, written as its neighbours are: their equals signs stand below each other.
fn add(row: &mut dyn TableLike, claim: &str, value: &str, before: Option<&str>) -> Option<()> {
    let value: Value = value.parse().ok()?;
    let neighbour = before.or(Some("issuer")).and_then(|name| row.key(name)).cloned();
    let mut key = Key::new(claim);
    if let Some(neighbour) = &neighbour {
        let width = |key: &Key| key.display_repr().chars().count();
        let suffix = neighbour.leaf_decor().suffix().and_then(|suffix| suffix.as_str()).unwrap_or(" ");
        let column = width(neighbour) + suffix.chars().count();
        let space = column.saturating_sub(width(&key)).max(1);
        key.leaf_decor_mut().set_suffix(" ".repeat(space));
    }
    // Where it stands follows from the order of putting in: what comes behind is taken out and put in again.
    let behind: Vec<String> = match before {
        Some(before) => row.iter().map(|(name, _)| name.to_owned()).skip_while(|name| name != before).collect(),
        None => Vec::new(),
    };
    let mut kept = Vec::new();
    for name in &behind {
        let key = row.key(name).cloned()?;
        kept.push((key, row.remove(name)?));
    }
    put(row, &key, Item::Value(value));
    for (key, item) in kept {
        put(row, &key, item);
    }
    Some(())
}

fn put(row: &mut dyn TableLike, key: &Key, item: Item) {
    row.entry_format(key).or_insert(item);
}
