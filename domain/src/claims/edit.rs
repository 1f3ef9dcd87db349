//! Claims made by hand: samples, cases, tests, and the questions of `policy explain`. Of what a broker decides on, the
//! verifier takes optional nulls away and nobody changes anything.

use super::{Claims, Json, Object};

impl Claims {
    /// Puts `value` at `path`, a name or a JSON pointer through objects, making the objects on the way.
    pub fn put(&mut self, path: &str, value: Json) {
        let mut steps = steps(path);
        let Some(last) = steps.pop() else { return };
        let mut object = self.object_mut();
        for step in steps {
            if !matches!(object.get(&step), Some(Json::Object(_))) {
                object.set(&step, Json::Object(Object::default()));
            }
            let Some(inner) = below(object, &step) else { return };
            object = inner;
        }
        object.set(&last, value);
    }

    /// Takes away what stands at `path`, a name or a JSON pointer through objects.
    pub fn take(&mut self, path: &str) -> Option<Json> {
        let mut steps = steps(path);
        let last = steps.pop()?;
        let mut object = self.object_mut();
        for step in steps {
            object = below(object, &step)?;
        }
        object.remove(&last)
    }
}

fn steps(path: &str) -> Vec<String> {
    match path.strip_prefix('/') {
        Some(pointer) => pointer.split('/').map(|step| step.replace("~1", "/").replace("~0", "~")).collect(),
        None => vec![path.to_owned()],
    }
}

fn below<'o>(object: &'o mut Object, step: &str) -> Option<&'o mut Object> {
    match object.0.iter_mut().find(|(held, _)| held == step) {
        Some((_, Json::Object(inner))) => Some(inner),
        _ => None,
    }
}

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<i64> for Json {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<bool> for Json {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}
