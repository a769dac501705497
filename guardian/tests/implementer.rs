//! From a concern to an order by itself: what a charter lets a guardian write, and that it is the same order again.

#[path = "../../common-ground/tests/world/mod.rs"]
mod world;

use common_ground::{
    Command, Ctx, Fact, Millis, decide,
    guardian::{Act, ActKind, Charter, OrderRefusal, Standing},
};
use guardian::{Concern, Severity, adviser::brief, charter, implementer::standing_order, order};
use receipts::{
    Digest,
    dsse::{Envelope, IN_TOTO},
    keys::SigningKey,
};
use world::{A, NODE, RUN, play};

const NOW: Millis = Millis(40);

fn concern(rule: &str) -> Concern {
    Concern {
        id: Digest::of(rule.as_bytes()),
        rule: rule.to_owned(),
        severity: Severity::Critical,
        run: RUN,
        module: Some(A),
        at: Millis(30),
        evidence: vec![3, 7],
        found: "found".to_owned(),
    }
}

fn key(number: u8) -> SigningKey {
    SigningKey::from_seed(&[number; 32])
}

fn signed(payload: Vec<u8>, key: &SigningKey) -> Vec<u8> {
    Envelope::sign(IN_TOTO, payload, &[key]).expect("signs").to_bytes().expect("bytes")
}

#[test]
fn only_what_the_charter_has_standing_is_written() {
    let id = world::charter_id();
    let written = |charter: &Charter, rule: &str, now| standing_order(id, charter, &concern(rule), now);
    let order = written(&world::charter(), "spend", NOW).expect("an order");
    assert_eq!(order.act, Act::Pause { most_ms: Some(100) });
    assert_eq!((order.charter, order.run, order.module), (id, RUN, None));
    assert_eq!(written(&world::charter(), "loops", NOW), None);
    assert_eq!(written(&Charter { acts: [ActKind::Cancel].into(), ..world::charter() }, "spend", NOW), None);
    assert_eq!(written(&world::charter(), "spend", Millis(4)), None, "before its charter");
    assert_eq!(written(&world::charter(), "spend", Millis(6_000)), None, "after its charter");
    assert_eq!(
        written(&Charter { not_after: Millis(u64::MAX), ..world::charter() }, "spend", Millis(60_031)),
        None,
        "too late"
    );
    assert_eq!(written(&world::charter(), "spend", Millis(41)), Some(order), "the same order a moment later");
}

/// The whole way: charter and order as files, signed, read, and decided; once.
#[test]
fn a_standing_order_is_carried_out_once_whatever_restarts_lie_between() {
    let (person, guardian) = (key(1), key(2));
    let terms = Charter {
        guardian: guardian.public(),
        persons: [person.public()].into(),
        quorum: 1,
        standing: vec![Standing { rule: "spend".to_owned(), most_ms: 100 }],
        ..world::charter()
    };
    let charter = signed(charter::payload(&terms, &[person.public()].into()).expect("a payload"), &person);
    let presented = charter::open(&charter);
    let roster = common_ground::role::Roster { person: person.public(), ..world::roster() };
    let begin = [
        (world::PRINCIPAL, world::open_with(world::task(), roster)),
        (NODE, Command::Charter { charter: Box::new(presented.clone()) }),
    ];
    let history = world::then(&[], &begin);
    let file = |now| {
        let order = standing_order(presented.id, &terms, &concern("spend"), now).expect("an order");
        let payload = order::payload(&order, &[guardian.public()].into()).expect("a payload");
        signed(payload, &guardian)
    };
    let first = file(NOW);
    assert_eq!(first, file(Millis(55)), "written again after a restart");
    let history: Vec<_> = history.into_iter().chain([world::Line::At(NOW.0)]).collect();
    let put = Command::Order { order: Box::new(order::open(&first)) };
    let (mut state, at) = play(&history);
    let facts = decide(&state, &put, &Ctx { at, by: NODE }).expect("facts");
    assert!(
        matches!(facts.first(), Some(Fact::OrderExecuted { standing: Some(rule), until: Some(Millis(140)), .. }) if rule == "spend"),
        "{facts:?}"
    );
    facts.iter().for_each(|fact| common_ground::apply(&mut state, at, fact).expect("fits"));
    let again = decide(&state, &put, &Ctx { at, by: NODE }).expect("facts");
    assert!(matches!(again.as_slice(), [Fact::OrderRefused { why: OrderRefusal::Replayed, .. }]), "{again:?}");
    let other = {
        let order = standing_order(presented.id, &terms, &concern("spend"), NOW).expect("an order");
        signed(order::payload(&order, &[key(3).public()].into()).expect("a payload"), &key(3))
    };
    let forged =
        decide(&state, &Command::Order { order: Box::new(order::open(&other)) }, &Ctx { at, by: NODE }).expect("facts");
    assert!(matches!(forged.as_slice(), [Fact::OrderRefused { why: OrderRefusal::Unauthorised, .. }]), "{forged:?}");
}

#[test]
fn a_brief_has_evidence_what_comes_next_and_a_mild_option_first() {
    for about in guardian::sentinels::ALL {
        let one = brief(concern(about.name));
        assert_ne!(one.next, "nothing that is known", "{}", about.name);
        assert_eq!(one.concern.evidence, [3, 7]);
        assert!(one.options[0].command.starts_with("ii runs show"), "{:?}", one.options);
        assert!(one.options.iter().any(|option| option.command.contains("order pause")), "{:?}", one.options);
    }
    let notice = Concern { severity: Severity::Notice, ..concern("timing") };
    assert!(brief(notice).options.iter().all(|option| !option.command.contains("order")), "a notice asks for no order");
}
