use domain::audit::hex;
use domain::wire::{PolicyFile, PolicyOutcome, PolicyTerms};

use super::*;
use crate::service::policies::{Approval, Keeper, Place, Pushed, Versions, opened};
use crate::service::readiness::Readiness;
use crate::service::sessions::Holder;

const RIGHTS: &str = r#"engine = "operator"
rights = ["policy.read", "policy.write", "policy.approve"]"#;

/// The helper's rows waive their gate.
const ACCEPT: &str = "accept = { operator-waives = \"a test\" }";

fn ops() -> String {
    [role("ops", ACCEPT, RIGHTS), role("boss", ACCEPT, RIGHTS)].concat()
}

fn files(roles: &str) -> Vec<PolicyFile> {
    vec![PolicyFile { path: "policy.toml".to_owned(), text: policy_text("ci", URL, roles) }]
}

fn plain() -> PolicyTerms {
    PolicyTerms::default()
}

fn made_from(hash: [u8; 32]) -> PolicyTerms {
    PolicyTerms { from: Some(hex(&hash)), ..plain() }
}

impl House {
    /// A replica whose sets are pushed; the first one comes from its folder.
    async fn pushed(pool: &PgPool, approval: Approval, roles: &str) -> Self {
        let begin = async |store: &Store, folder: &TempDir| {
            std::fs::write(folder.path().join("policy.toml"), policy_text("ci", URL, roles)).unwrap();
            Policies::of_database(store.clone(), opened(store, Some(folder.path())).await.unwrap(), approval)
        };
        Self::of(pool, limiter::Config::default(), begin).await
    }

    pub(super) fn keeper_of(&self, watched: bool) -> Keeper {
        let base = self.folder.path().to_owned();
        let place = Place { folder: watched.then(|| base.clone()), base };
        Keeper::new(self.rooms.clone(), self.keys.clone(), Readiness::default(), place)
    }

    fn versions(&self) -> Versions {
        Versions::new(self.rooms.clone(), self.keeper_of(false))
    }

    async fn apply(&self, holder: &Holder, roles: &str, terms: &PolicyTerms) -> Result<Pushed, Code> {
        self.versions().apply(holder, files(roles), terms, self.id()).await.map_err(code)
    }

    fn active(&self) -> [u8; 32] {
        self.rooms.policies.active().hash()
    }
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_pushed_set_decides_on_every_replica_and_can_be_rolled_back(pool: PgPool) {
    let (one, two) = (House::pushed(&pool, Approval::Never, &ops()).await, House::pushed(&pool, Approval::Never, "").await);
    assert_eq!(one.active(), two.active(), "the second one has what the first one began with");
    let (holder, first) = (one.keeper("ops").await, one.active());
    let grown = [ops(), database("shop", "")].concat();
    let dry = one.apply(&holder, &grown, &PolicyTerms { dry_run: true, ..plain() }).await.unwrap();
    assert_eq!((dry.outcome, one.active()), (PolicyOutcome::Sound, first));
    let pushed = one.apply(&holder, &grown, &made_from(first)).await.unwrap();
    assert_eq!(
        (pushed.outcome, pushed.was, pushed.adds.as_slice()),
        (PolicyOutcome::Activated, first, &["the role shop lets in more tokens of ci".to_owned()][..])
    );
    assert_eq!(one.active(), pushed.hash, "at once where it was pushed");
    two.keeper_of(false).look().await.unwrap();
    assert_eq!(two.active(), pushed.hash);
    one.exchange(one.ask(&one.token("shop"))).await.unwrap();
    assert_eq!(one.apply(&holder, &grown, &plain()).await.unwrap().outcome, PolicyOutcome::Unchanged);

    let list = one.versions().list(&holder, one.id()).await.unwrap();
    let hashes: Vec<&str> = list.activations.iter().map(|activation| activation.hash.as_str()).collect();
    assert_eq!(hashes, [hex(&pushed.hash), hex(&first)]);
    let author = list.activations[0].author.as_ref().unwrap();
    assert_eq!((author.name.as_str(), author.session_id.as_str()), ("ci ops", holder.session.id.to_string().as_str()));
    assert!(list.activations[1].author.is_none());
    let shown = one.versions().show(&holder, &hex(&first)[..8], one.id()).await.unwrap();
    assert!(!shown.active && shown.files[0].text.contains("[role.boss]"));

    // By the one that does not know it yet.
    let back = one.versions().roll_back(&holder, &hex(&first)[..12], &made_from(pushed.hash), one.id()).await.unwrap();
    assert_eq!((back.outcome, back.hash), (PolicyOutcome::Activated, first));
    two.keeper_of(false).look().await.unwrap();
    assert_eq!(two.active(), first);
    let record = &one.audit("policy.activated").await[0];
    assert_eq!(
        (&record.fields["object"], &record.fields["source"], &record.fields["was"]),
        (&hex(&first), &"rollback".to_owned(), &hex(&pushed.hash))
    );
    for house in [&one, &two] {
        house.close().await;
    }
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_set_that_is_not_sound_changes_nothing_and_says_where_it_is_wrong(pool: PgPool) {
    let house = House::pushed(&pool, Approval::Never, &ops()).await;
    let (holder, before) = (house.keeper("ops").await, house.active());
    let case = |expect: &str| {
        format!(
            "[[case]]\nname = \"shop\"\nissuer = \"ci\"\nclaims = {{ sub = \"shop\", service_id = \"s1\" }}\nrole = \"shop\"\nexpect = \"{expect}\"\n"
        )
    };
    let roles = |expect: &str| [ops(), database("shop", ""), case(expect)].concat();
    let told = house.versions().apply(&holder, files(&roles("deny")), &plain(), house.id()).await.unwrap_err().public();
    assert_eq!(told.code, Code::PolicyUnsound);
    assert!(told.hints[0].starts_with("policy.toml:") && told.hints[0].contains("the case `shop` expects deny"), "{told:?}");
    let typo = house.versions().apply(&holder, files("[role.ops]\nttll = 1"), &plain(), house.id()).await.unwrap_err().public();
    assert!(typo.hints.len() > 1 && typo.hints.iter().any(|hint| hint.contains("ttll")), "all of them: {typo:?}");
    for path in ["../policy.toml", "/etc/policy.toml", "policy.txt", ""] {
        let file = PolicyFile { path: path.to_owned(), text: String::new() };
        let refused = house.versions().apply(&holder, vec![file], &plain(), house.id()).await.map(|_| ()).map_err(code);
        assert_eq!(refused, Err(Code::RequestMalformed), "{path}");
    }
    assert_eq!(house.active(), before);
    assert_eq!(house.audit("policy.refused").await[0].fields["code"], "policy_unsound");
    assert_eq!(house.versions().list(&holder, house.id()).await.unwrap().activations.len(), 1);
    assert_eq!(house.apply(&holder, &roles("allow"), &plain()).await.unwrap().outcome, PolicyOutcome::Activated);
    house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn of_two_changes_from_the_same_set_one_is_refused(pool: PgPool) {
    let (one, two) = (House::pushed(&pool, Approval::Never, &ops()).await, House::pushed(&pool, Approval::Never, "").await);
    let holder = one.keeper("ops").await;
    let terms = made_from(one.active());
    let roles = |name: &str| [ops(), database(name, "")].concat();
    let (shop, other) = (roles("shop"), roles("other"));
    let (left, right) = tokio::join!(one.apply(&holder, &shop, &terms), two.apply(&holder, &other, &terms));
    let outcomes = [left.map(|pushed| pushed.outcome), right.map(|pushed| pushed.outcome)];
    assert!(outcomes.contains(&Ok(PolicyOutcome::Activated)) && outcomes.contains(&Err(Code::PolicyConflict)), "{outcomes:?}");
    for house in [&one, &two] {
        house.close().await;
    }
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn who_pushes_does_not_lose_the_right_by_accident(pool: PgPool) {
    let house = House::pushed(&pool, Approval::Never, &ops()).await;
    let holder = house.keeper("ops").await;
    let without = role("boss", ACCEPT, RIGHTS);
    assert_eq!(house.apply(&holder, &without, &plain()).await.map(|_| ()), Err(Code::LockedOut));
    let weak = [role("boss", ACCEPT, RIGHTS), role("ops", &format!("shadow = true\n{ACCEPT}"), RIGHTS)].concat();
    assert_eq!(house.apply(&holder, &weak, &plain()).await.map(|_| ()), Err(Code::LockedOut));
    let meant = PolicyTerms { lock_out: true, ..plain() };
    assert_eq!(house.apply(&holder, &without, &meant).await.unwrap().outcome, PolicyOutcome::Activated);
    house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn what_widens_waits_for_another_person(pool: PgPool) {
    let house = House::pushed(&pool, Approval::Widening, &[ops(), database("shop", "")].concat()).await;
    let (author, again, boss) = (house.keeper("ops").await, house.keeper("ops").await, house.keeper("boss").await);
    let first = house.active();
    let narrower = house.apply(&author, &ops(), &plain()).await.unwrap();
    assert_eq!(narrower.outcome, PolicyOutcome::Activated, "taking away needs nobody");
    let grown = [ops(), database("other", "")].concat();
    let pushed = house.apply(&author, &grown, &plain()).await.unwrap();
    assert_eq!((pushed.outcome, pushed.needs_approval, house.active()), (PolicyOutcome::Proposed, true, narrower.hash));
    let approve = async |holder: &Holder, hash: [u8; 32]| {
        house.versions().approve(holder, &hex(&hash), house.id()).await.map(|pushed| pushed.outcome).map_err(code)
    };
    for own in [&author, &again] {
        assert_eq!(approve(own, pushed.hash).await, Err(Code::PolicyOwnProposal), "another session is not another person");
    }
    // Going back is a change like any other: what it would widen waits too.
    let back = house.versions().roll_back(&author, &hex(&first), &plain(), house.id()).await.unwrap();
    assert_eq!((back.outcome, house.active()), (PolicyOutcome::Proposed, narrower.hash));
    assert_eq!(house.versions().list(&boss, house.id()).await.unwrap().proposals.len(), 2);

    let short = house.versions().approve(&boss, &hex(&pushed.hash)[..63], house.id()).await.map(|_| ()).map_err(code);
    assert_eq!(short, Err(Code::RequestMalformed), "another set may begin the same");
    assert_eq!(approve(&boss, pushed.hash).await, Ok(PolicyOutcome::Activated));
    assert_eq!(house.active(), pushed.hash);
    let list = house.versions().list(&boss, house.id()).await.unwrap();
    let latest = &list.activations[0];
    assert_eq!(latest.author.as_ref().unwrap().name, "ci ops");
    assert_eq!(latest.approver.as_ref().unwrap().name, "ci boss");
    // What was proposed in place of another set is not what somebody looked at.
    assert!(list.proposals[0].stale);
    assert_eq!(approve(&boss, back.hash).await, Err(Code::PolicyConflict));
    assert_eq!(approve(&boss, pushed.hash).await, Err(Code::NotFound), "it waits no more");
    for (kind, count) in [("policy.proposed", 2), ("policy.approved", 1), ("policy.refused", 2)] {
        assert_eq!(house.audit(kind).await.len(), count, "{kind}");
    }
    house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn what_waits_is_taken_back_and_then_nobody_approves_it(pool: PgPool) {
    let with = |name: &str, rights: &str| role(name, ACCEPT, &format!("engine = \"operator\"\nrights = [{rights}]"));
    let weak = with("weak", "\"policy.read\", \"audit.read\"");
    let start = [ops(), with("eyes", "\"policy.approve\""), with("hand", "\"policy.write\""), weak].concat();
    let (one, two) = (House::pushed(&pool, Approval::Widening, &start).await, House::pushed(&pool, Approval::Widening, "").await);
    let (author, boss, weak) = (one.keeper("ops").await, one.keeper("boss").await, one.keeper("weak").await);
    let grown = [start.as_str(), &database("shop", "")].concat();
    let proposed = one.apply(&author, &grown, &plain()).await.unwrap();
    let hash = hex(&proposed.hash);
    let withdraw = async |house: &House, holder: &Holder, hash: &str| {
        house.versions().withdraw(holder, hash, house.id()).await.map_err(code)
    };
    // Who holds neither right learns nothing, not even whether it waits.
    for told in [&hash, &hex(&one.active()), &"00".repeat(32), &"no hash".to_owned()] {
        assert_eq!(withdraw(&one, &weak, told).await.map(|_| ()), Err(Code::RightMissing), "{told}");
    }
    assert_eq!(withdraw(&one, &author, &hex(&one.active())).await.map(|_| ()), Err(Code::NotFound), "it does not wait");
    let withdrawn = withdraw(&one, &author, &hash[..12]).await.unwrap();
    assert_eq!((withdrawn.by.name.as_str(), withdrawn.author.name.as_str()), ("ci ops", "ci ops"));
    // Another replica knows at once.
    let refused = two.versions().approve(&boss, &hash, two.id()).await.map(|_| ()).map_err(code);
    assert_eq!(refused, Err(Code::PolicyWithdrawn));
    assert_eq!(withdraw(&two, &boss, &hash).await.map(|_| ()), Err(Code::PolicyWithdrawn), "once");
    let list = two.versions().list(&boss, two.id()).await.unwrap();
    assert_eq!((list.proposals.len(), list.withdrawn.len()), (0, 1));
    let shown = two.versions().show(&boss, &hash, two.id()).await.unwrap();
    assert!(shown.proposal.is_none() && shown.withdrawn[0].reason.contains("the role shop"), "{shown:?}");
    assert_eq!(one.active(), proposed.was);
    let record = &one.audit("policy.withdrawn").await[0];
    assert_eq!((&record.fields["object"], &record.fields["author"]), (&hash, &author.session.id.to_string()));

    // Others may as well, with one right or the other, and who has lost both may take back what is their own.
    for name in ["eyes", "hand"] {
        assert_eq!(one.apply(&author, &grown, &plain()).await.unwrap().outcome, PolicyOutcome::Proposed, "again");
        let holder = one.keeper(name).await;
        assert_eq!(withdraw(&one, &holder, &hash).await.unwrap().by.name, format!("ci {name}"));
    }
    assert_eq!(one.apply(&author, &grown, &plain()).await.unwrap().outcome, PolicyOutcome::Proposed);
    let bereft = Holder { rights: Vec::new(), ..author };
    assert_eq!(withdraw(&one, &bereft, &hash).await.unwrap().by.name, "ci ops");
    assert_eq!(one.audit("policy.withdrawn").await.len(), 4);
    // What was withdrawn once and approved later is not withdrawn.
    one.apply(&boss, &grown, &plain()).await.unwrap();
    let eyes = one.keeper("eyes").await;
    assert_eq!(one.versions().approve(&eyes, &hash, one.id()).await.unwrap().outcome, PolicyOutcome::Activated);
    assert_eq!(withdraw(&one, &boss, &hash).await.map(|_| ()), Err(Code::NotFound));
    for house in [&one, &two] {
        house.close().await;
    }
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn of_an_approval_and_a_withdrawal_at_once_one_counts(pool: PgPool) {
    let house = House::pushed(&pool, Approval::Always, &ops()).await;
    let (author, boss) = (house.keeper("ops").await, house.keeper("boss").await);
    for at in 0..8 {
        let before = house.active();
        let hash = house.apply(&author, &[ops(), database(&format!("shop{at}"), "")].concat(), &plain()).await.unwrap().hash;
        let (text, versions) = (hex(&hash), house.versions());
        let (approved, withdrawn) =
            tokio::join!(versions.approve(&boss, &text, house.id()), versions.withdraw(&author, &text, house.id()));
        let (approved, withdrawn) = (approved.map(|_| ()).map_err(code), withdrawn.map(|_| ()).map_err(code));
        match (approved, withdrawn) {
            (Ok(()), Err(Code::NotFound)) => assert_eq!(house.active(), hash),
            (Err(Code::PolicyWithdrawn), Ok(())) => assert_eq!(house.active(), before),
            both => panic!("{both:?}"),
        }
    }
    house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn whom_no_token_tells_from_others_approves_nothing(pool: PgPool) {
    let house = House::pushed(&pool, Approval::Widening, &ops()).await;
    let (author, boss) = (house.keeper("ops").await, house.keeper("boss").await);
    let approve = async |hash: [u8; 32]| house.versions().approve(&boss, &hex(&hash), house.id()).await.map(|_| ()).map_err(code);
    let nameless = |roles: &str| {
        let text = policy_text("ci", URL, roles).replace("person = \"sub\"\n", "");
        vec![PolicyFile { path: "policy.toml".to_owned(), text }]
    };
    let pushed = house.versions().apply(&author, nameless(&ops()), &plain(), house.id()).await.unwrap();
    assert_eq!(pushed.outcome, PolicyOutcome::Proposed, "who is who is part of what widens");
    approve(pushed.hash).await.unwrap();

    let boss = house.keeper("boss").await;
    let grown = nameless(&[ops(), database("other", "")].concat());
    let pushed = house.versions().apply(&author, grown, &plain(), house.id()).await.unwrap();
    let refused = house.versions().approve(&boss, &hex(&pushed.hash), house.id()).await.map(|_| ()).map_err(code);
    assert_eq!(refused, Err(Code::PolicyNobodyKnown));
    house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_person_is_one_at_every_url_of_their_ci_system(pool: PgPool) {
    let house = House::pushed(&pool, Approval::Widening, &ops()).await;
    let author = house.keeper("ops").await;
    let pushed = house.apply(&author, &[ops(), database("other", "")].concat(), &plain()).await.unwrap();
    let mut again = house.keeper("ops").await;
    again.subject.issuer_url = "https://ci.example.test/acme".to_owned();
    again.subject.issuer = "ci-of-acme".to_owned();
    let refused = house.versions().approve(&again, &hex(&pushed.hash), house.id()).await.map(|_| ()).map_err(code);
    assert_eq!(refused, Err(Code::PolicyOwnProposal));
    house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn rights_are_needed_and_a_folder_is_not_overruled(pool: PgPool) {
    let weak = role("weak", "", "engine = \"operator\"\nrights = [\"policy.read\"]");
    let house = House::build(&pool, &[ops(), weak].concat()).await;
    let (weak, ops_holder) = (house.keeper("weak").await, house.keeper("ops").await);
    assert_eq!(house.apply(&weak, &ops(), &plain()).await.map(|_| ()), Err(Code::RightMissing));
    let approve = house.versions().approve(&weak, &hex(&house.active()), house.id()).await.map(|_| ()).map_err(code);
    assert_eq!(approve, Err(Code::RightMissing));
    assert_eq!(house.apply(&ops_holder, &ops(), &plain()).await.map(|_| ()), Err(Code::PolicyFromFolder));
    let approve = house.versions().approve(&ops_holder, &hex(&house.active()), house.id()).await.map(|_| ()).map_err(code);
    assert_eq!(approve, Err(Code::PolicyFromFolder));
    let begun = opened(&house.rooms.store, None).await.err();
    assert!(matches!(&begun, Some(Error::Fault(fault)) if fault.chain().contains("name a folder")), "{begun:?}");
    house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_set_that_looks_on_is_remembered_where_it_differs_and_decides_nothing(pool: PgPool) {
    let now = [ops(), database("shop", ""), database("other", "")].concat();
    let house = House::build(&pool, &now).await;
    let holder = house.keeper("ops").await;
    let next = [ops(), database("shop", ""), database("new", "")].concat();
    let pushed = house.versions().shadow(&holder, files(&next), &plain(), house.id()).await.unwrap();
    assert_eq!((pushed.outcome, house.active()), (PolicyOutcome::Shadowed, pushed.was));
    house.exchange(house.ask(&house.token("shop"))).await.unwrap();
    house.exchange(house.ask(&house.token("other"))).await.unwrap();
    assert_eq!(house.exchange(house.ask(&house.token("new"))).await.map(|_| ()), Err(Code::NoRoleMatches));
    let granted = house.audit("exchange.granted").await;
    let seen = |role: &str| granted.iter().find(|entry| entry.fields["role"] == role).unwrap().fields.clone();
    assert!(!seen("shop").contains_key("shadow.outcome"), "what is the same is not told");
    assert_eq!(
        (&seen("other")["shadow.outcome"], &seen("other")["shadow.policy"]),
        (&"no_role_matches".to_owned(), &hex(&pushed.hash))
    );
    let denied = &house.audit("exchange.denied").await[0].fields;
    assert_eq!((&denied["shadow.outcome"], &denied["shadow.role"]), (&"granted".to_owned(), &"new".to_owned()));

    house.versions().clear_shadow(&holder, house.id()).await.unwrap();
    assert!(house.rooms.policies.shadow().is_none());
    house.exchange(house.ask(&house.token("other"))).await.unwrap();
    assert!(!house.audit("exchange.granted").await[0].fields.contains_key("shadow.outcome"));
    house.close().await;
}
