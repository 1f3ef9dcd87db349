-- A set that waits for a second operator can be taken back; who did so is told beside its author.

alter table daypass.policy_proposals
    drop constraint policy_proposals_outcome_check,
    add constraint policy_proposals_outcome_check check (outcome in ('approved', 'replaced', 'withdrawn')),
    add column withdrawer text,
    add column withdrawer_session uuid,
    add constraint policy_proposals_withdrawn check (num_nonnulls(withdrawer, withdrawer_session) = case outcome when 'withdrawn' then 2 else 0 end);
