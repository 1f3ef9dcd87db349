//! The records of a batch in columns, as the statement takes them.

use std::collections::HashSet;

use time::OffsetDateTime;
use uuid::Uuid;

use super::{Prepared, due_at};

/// Every text of a record.
pub(super) fn texts(prepared: &Prepared) -> impl Iterator<Item = &str> {
    let record = &prepared.record;
    let session = record.session.iter().flat_map(|session| {
        let texts = [&session.project, &session.project_name, &session.run, &session.attempt, &session.job];
        texts.into_iter().filter_map(|text| text.as_deref()).chain([session.issuer.as_str(), session.role.as_str()])
    });
    let leases = record.leases.iter().flat_map(|lease| {
        let texts = [lease.connection.as_deref(), lease.upstream.as_deref()];
        texts.into_iter().flatten().chain([lease.role.as_str(), lease.credential.as_str()])
    });
    let audit = record.audit.iter().flat_map(|record| {
        let texts = [&record.issuer, &record.project, &record.project_name, &record.role, &record.code];
        texts.into_iter().filter_map(|text| text.as_deref())
    });
    session.chain(leases).chain(audit).chain(prepared.audit.iter().filter_map(|entry| entry.named.as_deref()))
}

#[derive(Default)]
pub(super) struct Uses<'a> {
    pub(super) n: Vec<i32>,
    pub(super) token_key: Vec<Uuid>,
    pub(super) allowed: Vec<i32>,
    pub(super) session_id: Vec<Uuid>,
    pub(super) keep_until: Vec<OffsetDateTime>,
    pub(super) idempotency: Vec<Option<&'a [u8]>>,
}

#[derive(Default)]
pub(super) struct Sessions<'a> {
    pub(super) n: Vec<i32>,
    pub(super) id: Vec<Uuid>,
    pub(super) token_hash: Vec<&'a [u8]>,
    pub(super) opened_by: Vec<Uuid>,
    pub(super) issuer: Vec<&'a str>,
    pub(super) role: Vec<&'a str>,
    pub(super) project: Vec<Option<&'a str>>,
    pub(super) project_name: Vec<Option<&'a str>>,
    pub(super) run: Vec<Option<&'a str>>,
    pub(super) attempt: Vec<Option<&'a str>>,
    pub(super) job: Vec<Option<&'a str>>,
    pub(super) idempotency: Vec<Option<&'a [u8]>>,
    pub(super) opened_at: Vec<OffsetDateTime>,
    pub(super) ends_at: Vec<OffsetDateTime>,
}

#[derive(Default)]
pub(super) struct Leases<'a> {
    pub(super) n: Vec<i32>,
    pub(super) id: Vec<Uuid>,
    pub(super) session_id: Vec<Uuid>,
    pub(super) role: Vec<&'a str>,
    pub(super) credential: Vec<&'a str>,
    pub(super) engine: Vec<&'a str>,
    pub(super) connection: Vec<Option<&'a str>>,
    pub(super) upstream: Vec<Option<&'a str>>,
    pub(super) state: Vec<&'a str>,
    pub(super) revocable: Vec<bool>,
    pub(super) handle: Vec<&'a [u8]>,
    pub(super) generation: Vec<i32>,
    pub(super) issued_at: Vec<OffsetDateTime>,
    pub(super) expires_at: Vec<OffsetDateTime>,
    pub(super) due_at: Vec<OffsetDateTime>,
    /// How many may be live: of the role, of the session, of the connection. Nobody counts where there is no number.
    pub(super) most: Vec<Option<i64>>,
    pub(super) most_of_session: Vec<i64>,
    pub(super) most_of_connection: Vec<Option<i64>>,
    /// The token whose use opens their session, on the first of a record.
    pub(super) token_key: Vec<Option<Uuid>>,
    /// Sessions that were opened before and on which records build.
    pub(super) held_n: Vec<i32>,
    pub(super) held: Vec<Uuid>,
}

#[derive(Default)]
pub(super) struct Activations<'a> {
    pub(super) n: Vec<i32>,
    pub(super) lease_id: Vec<Uuid>,
    pub(super) state: Vec<&'a str>,
    pub(super) expires_at: Vec<OffsetDateTime>,
    pub(super) marked_n: Vec<i32>,
    pub(super) marked: Vec<Uuid>,
    pub(super) marks: Vec<Uuid>,
}

#[derive(Default)]
pub(super) struct Audit<'a> {
    pub(super) n: Vec<i32>,
    pub(super) id: Vec<Uuid>,
    pub(super) at: Vec<OffsetDateTime>,
    pub(super) kind: Vec<&'a str>,
    pub(super) decision_id: Vec<Uuid>,
    pub(super) session_id: Vec<Option<Uuid>>,
    pub(super) lease_id: Vec<Option<Uuid>>,
    pub(super) issuer: Vec<Option<&'a str>>,
    pub(super) project: Vec<Option<&'a str>>,
    pub(super) project_name: Vec<Option<&'a str>>,
    pub(super) role: Vec<Option<&'a str>>,
    pub(super) code: Vec<Option<&'a str>>,
    pub(super) packed: Vec<&'a [u8]>,
    pub(super) leaf: Vec<&'a [u8]>,
}

#[derive(Default)]
pub(super) struct Personal<'a> {
    pub(super) n: Vec<i32>,
    pub(super) record_id: Vec<Uuid>,
    pub(super) named: Vec<&'a str>,
    pub(super) salts: Vec<&'a [u8]>,
}

#[derive(Default)]
pub(super) struct Columns<'a> {
    pub(super) n: Vec<i32>,
    pub(super) uses: Uses<'a>,
    pub(super) sessions: Sessions<'a>,
    pub(super) leases: Leases<'a>,
    pub(super) activations: Activations<'a>,
    pub(super) audit: Audit<'a>,
    pub(super) personal: Personal<'a>,
}

impl<'a> Columns<'a> {
    pub(super) fn of(records: &[&'a Prepared]) -> Self {
        let mut columns = Self::default();
        for (n, prepared) in (0i32..).zip(records) {
            columns.n.push(n);
            columns.add(n, prepared);
        }
        columns
    }

    fn add(&mut self, n: i32, prepared: &'a Prepared) {
        let record = &prepared.record;
        // A use that is taken over stands in the table already.
        let token_use = record.token_use.as_ref().filter(|token| token.replaces.is_none());
        if let Some((token, key)) = token_use.zip(prepared.token_key) {
            let uses = &mut self.uses;
            uses.n.push(n);
            uses.token_key.push(key);
            uses.allowed.push(i32::from(token.uses));
            uses.session_id.push(token.session_id);
            uses.keep_until.push(token.keep_until);
            uses.idempotency.push(token.idempotency.as_ref().map(<[u8; 32]>::as_slice));
        }
        if let Some((session, opening)) = record.session.as_ref().zip(record.audit.first()) {
            let sessions = &mut self.sessions;
            sessions.n.push(n);
            sessions.id.push(session.id);
            sessions.token_hash.push(&session.token_hash);
            sessions.opened_by.push(opening.id);
            sessions.issuer.push(&session.issuer);
            sessions.role.push(&session.role);
            sessions.project.push(session.project.as_deref());
            sessions.project_name.push(session.project_name.as_deref());
            sessions.run.push(session.run.as_deref());
            sessions.attempt.push(session.attempt.as_deref());
            sessions.job.push(session.job.as_deref());
            sessions.idempotency.push(session.idempotency.as_ref().map(<[u8; 32]>::as_slice));
            sessions.opened_at.push(session.opened_at);
            sessions.ends_at.push(session.ends_at);
        }
        let opened = record.session.as_ref().map(|session| session.id);
        let mut token_key = prepared.token_key;
        let mut held = HashSet::new();
        let leases = &mut self.leases;
        if let Some(session) = record.of_session {
            held.insert(session);
            leases.held_n.push(n);
            leases.held.push(session);
        }
        for (lease, handle) in record.leases.iter().zip(&prepared.handles) {
            leases.n.push(n);
            leases.id.push(lease.id);
            leases.session_id.push(lease.session_id);
            leases.role.push(&lease.role);
            leases.credential.push(&lease.credential);
            leases.engine.push(lease.engine);
            leases.connection.push(lease.connection.as_deref());
            leases.upstream.push(lease.upstream.as_deref());
            leases.state.push(lease.state.as_str());
            leases.revocable.push(lease.revocable);
            leases.handle.push(&handle.bytes);
            // `prepare` has seen that it fits.
            leases.generation.push(i32::try_from(handle.generation).unwrap_or(i32::MAX));
            leases.issued_at.push(lease.issued_at);
            leases.expires_at.push(lease.expires_at);
            leases.due_at.push(due_at(lease));
            leases.most.push(Some(i64::from(lease.max_live_of_role)));
            leases.most_of_session.push(i64::from(lease.max_live_of_session));
            leases.most_of_connection.push(lease.max_live_of_connection.map(i64::from));
            leases.token_key.push(token_key.take());
            if Some(lease.session_id) != opened && held.insert(lease.session_id) {
                leases.held_n.push(n);
                leases.held.push(lease.session_id);
            }
        }
        let activations = &mut self.activations;
        for activation in &record.activate {
            activations.n.push(n);
            activations.lease_id.push(activation.lease_id);
            activations.state.push(activation.to.as_str());
            activations.expires_at.push(activation.expires_at);
            for &mark in &activation.marks {
                activations.marked_n.push(n);
                activations.marked.push(activation.lease_id);
                activations.marks.push(mark);
            }
        }
        for (entry, written) in record.audit.iter().zip(&prepared.audit) {
            let audit = &mut self.audit;
            audit.n.push(n);
            audit.id.push(entry.id);
            audit.at.push(entry.at);
            audit.kind.push(entry.kind.as_str());
            audit.decision_id.push(entry.decision_id);
            audit.session_id.push(entry.session_id);
            audit.lease_id.push(entry.lease_id);
            audit.issuer.push(entry.issuer.as_deref());
            audit.project.push(entry.project.as_deref());
            audit.project_name.push(entry.project_name.as_deref());
            audit.role.push(entry.role.as_deref());
            audit.code.push(entry.code.as_deref());
            audit.packed.push(&written.packed);
            audit.leaf.push(&written.leaf);
            if let Some(named) = &written.named {
                self.personal.n.push(n);
                self.personal.record_id.push(entry.id);
                self.personal.named.push(named);
                self.personal.salts.push(&written.salts);
            }
        }
    }
}
