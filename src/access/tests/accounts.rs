use super::*;
use crate::access::{
    AccountChange, JwtVerifier, Login, Permission, Permissions, SessionOwner, Visitor, Vouched,
};
use crate::directory::IssuedSubject;

fn change(change: impl FnOnce(&mut AccountChange)) -> AccountChange {
    let mut made = AccountChange::default();
    change(&mut made);
    made
}

#[tokio::test]
async fn nobody_makes_an_account_of_more_than_it_manages() {
    let world = World::new().await;
    let request = |email: &str, grant| AccountRequest {
        email: email.to_owned(),
        name: "Bob".to_owned(),
        grants: vec![grant],
        password: Some(PASSWORD.to_owned()),
        subject: None,
    };
    let admin = foreigner(grant(Role::OrganizationAdmin, over(ACME)));
    for given in
        [super_admin(), grant(Role::Analyst, Domain::Platform), grant(Role::Analyst, over(BETA))]
    {
        let made = world.door.create_account(&admin, request("bob@example.com", given)).await;
        assert_kind(made, ErrorKind::Forbidden);
    }
    let analyst = foreigner(grant(Role::Analyst, over(ACME)));
    let own = request("bob@example.com", grant(Role::Analyst, over(ACME)));
    assert_kind(world.door.create_account(&analyst, own).await, ErrorKind::Forbidden);
    let within = request("bob@example.com", grant(Role::Analyst, over(ACME)));
    world.door.create_account(&admin, within).await.expect("an account");
    assert_eq!(world.door.accounts(&Principal::operator()).expect("accounts").len(), 1);
}

#[tokio::test]
async fn two_accounts_never_share_an_address() {
    let world = World::new().await;
    let first = world.account("Ada@Example.com ", super_admin()).await;
    assert_eq!(first.email.as_deref(), Some("ada@example.com"));
    let again = AccountRequest {
        email: "ADA@example.com".to_owned(),
        name: "Another".to_owned(),
        grants: vec![super_admin()],
        password: Some(PASSWORD.to_owned()),
        subject: None,
    };
    let operator = Principal::operator();
    let error = assert_kind(world.door.create_account(&operator, again).await, ErrorKind::Invalid);
    assert!(error.to_string().contains("are in use"), "{error}");
    assert!(!error.to_string().contains("ada@example.com"), "{error}");
}

#[tokio::test]
async fn only_whoever_runs_the_platform_says_whom_a_provider_vouches_for() {
    let world = World::new().await;
    let request = |email: &str| AccountRequest {
        email: email.to_owned(),
        name: "Eve".to_owned(),
        grants: vec![grant(Role::Analyst, over(ACME))],
        password: None,
        subject: Some(IssuedSubject { issuer: "issuer".to_owned(), subject: "eve".to_owned() }),
    };
    let admin = foreigner(grant(Role::OrganizationAdmin, over(ACME)));
    let refused = world.door.create_account(&admin, request("eve@example.com")).await;
    assert_kind(refused, ErrorKind::Forbidden);
    let operator = Principal::operator();
    world.door.create_account(&operator, request("eve@example.com")).await.expect("an account");
    let again = world.door.create_account(&operator, request("other@example.com")).await;
    let by_subject = assert_kind(again, ErrorKind::Invalid).to_string();
    let again = AccountRequest {
        subject: None,
        password: Some(PASSWORD.to_owned()),
        ..request("eve@example.com")
    };
    let by_email = world.door.create_account(&operator, again).await;
    assert_eq!(assert_kind(by_email, ErrorKind::Invalid).to_string(), by_subject);
}

#[tokio::test]
async fn what_is_wrong_with_a_new_account_is_said() {
    let world = World::new().await;
    let right = || AccountRequest {
        email: "ada@example.com".to_owned(),
        name: "Ada".to_owned(),
        grants: vec![super_admin()],
        password: Some(PASSWORD.to_owned()),
        subject: None,
    };
    for (wrong, said) in [
        (AccountRequest { email: "ada".to_owned(), ..right() }, "email is \"ada\""),
        (AccountRequest { email: "a b@c".to_owned(), ..right() }, "email is"),
        (AccountRequest { name: "  ".to_owned(), ..right() }, "name has 0 characters"),
        (AccountRequest { grants: Vec::new(), ..right() }, "grants is empty"),
        (AccountRequest { password: None, ..right() }, "needs a password"),
        (AccountRequest { password: Some("short".to_owned()), ..right() }, "12 or more"),
    ] {
        let made = world.door.create_account(&Principal::operator(), wrong).await;
        let error = assert_kind(made, ErrorKind::Invalid);
        assert!(error.to_string().contains(said), "{error}");
    }
}

#[tokio::test]
async fn the_last_super_admin_is_not_locked_out() {
    let world = World::new().await;
    let operator = Principal::operator();
    let ada = world.account("ada@example.com", super_admin()).await;
    let caller = world.person(&ada.id);
    let less = Some(vec![grant(Role::Analyst, over(ACME))]);
    let refused = [
        world.door.change_account(&caller, &ada.id, change(|one| one.disabled = Some(true))).await,
        world.door.change_account(&operator, &ada.id, change(|one| one.grants = less)).await,
    ];
    for outcome in refused {
        let error = assert_kind(outcome, ErrorKind::Forbidden);
        assert!(error.to_string().contains("no super admin"), "{error}");
    }
    assert_kind(world.door.delete_account(&caller, &ada.id).await, ErrorKind::Forbidden);
    assert!(world.door.has_super_admin().expect("known"));
    // A token that ends is no way in for long; one that does not end is.
    let expires_at = Some(world.now() + TimeDelta::days(1));
    let short = TokenRequest { expires_at, ..request("short", super_admin()) };
    world.door.create_token(&operator, short).await.expect("a token");
    assert_kind(world.door.delete_account(&caller, &ada.id).await, ErrorKind::Forbidden);
    let token = world.token(super_admin()).await;
    world.door.delete_account(&caller, &ada.id).await.expect("deleted");
    let last = world.door.revoke_token(&operator, &token.token.id).await;
    assert_kind(last, ErrorKind::Forbidden);
    world.admits(&token.secret).await.expect("still taken");
}

#[tokio::test]
async fn what_is_no_super_admin_ends_where_there_is_none() {
    let world = World::new().await;
    let made = world.token(grant(Role::Analyst, over(ACME))).await;
    assert!(!world.door.has_super_admin().expect("known"));
    world.door.revoke_token(&Principal::operator(), &made.token.id).await.expect("revoked");
}

#[tokio::test]
async fn a_person_changes_its_password_by_knowing_it_and_every_session_ends() {
    let world = World::new().await;
    let ada = world.account("ada@example.com", grant(Role::Analyst, over(ACME))).await;
    let caller = world.person(&ada.id);
    let login = |password: &str| Login {
        email: "ada@example.com".to_owned(),
        password: password.to_owned(),
    };
    let visitor = Visitor::default();
    let session = world.door.log_in(&login(PASSWORD), &visitor).await.expect("a session");
    let with = |current: Option<&str>| {
        change(|one| {
            one.password = Some("another few words".to_owned());
            one.current_password = current.map(str::to_owned);
        })
    };
    for current in [None, Some("not the password")] {
        let outcome = world.door.change_account(&caller, &ada.id, with(current)).await;
        assert_kind(outcome, ErrorKind::Forbidden);
    }
    world.door.change_account(&caller, &ada.id, with(Some(PASSWORD))).await.expect("changed");
    let shown = Credential::Session(session.secret);
    assert_kind(world.door.authenticate(&shown).await, ErrorKind::Unauthenticated);
    let old = world.door.log_in(&login(PASSWORD), &visitor).await;
    assert_kind(old, ErrorKind::Unauthenticated);
    world.door.log_in(&login("another few words"), &visitor).await.expect("a session");
}

#[tokio::test]
async fn a_person_gives_itself_nothing() {
    let world = World::new().await;
    let ada = world.account("ada@example.com", grant(Role::Analyst, over(ACME))).await;
    let caller = world.person(&ada.id);
    let more = Some(vec![grant(Role::OrganizationAdmin, over(ACME))]);
    let outcome =
        world.door.change_account(&caller, &ada.id, change(|one| one.grants = more)).await;
    assert_kind(outcome, ErrorKind::Forbidden);
    let name = change(|one| one.name = Some("Ada L.".to_owned()));
    let view = world.door.change_account(&caller, &ada.id, name).await.expect("changed");
    assert_eq!(view.name, "Ada L.");
}

#[tokio::test]
async fn an_organization_admin_takes_over_nobody_above_it() {
    let world = World::new().await;
    let boss = world.account("boss@example.com", super_admin()).await;
    let elsewhere = world.account("eve@example.com", grant(Role::Analyst, over(BETA))).await;
    let admin = foreigner(grant(Role::OrganizationAdmin, over(ACME)));
    for id in [&boss.id, &elsewhere.id] {
        let password = change(|one| one.password = Some("taken over by me".to_owned()));
        let outcome = world.door.change_account(&admin, id, password).await;
        assert_kind(outcome, ErrorKind::NotFound);
        assert_kind(world.door.delete_account(&admin, id).await, ErrorKind::NotFound);
    }
    assert!(world.door.accounts(&admin).expect("accounts").is_empty());
}

#[tokio::test]
async fn every_act_on_an_account_is_in_the_audit_log_without_its_password() {
    let world = World::new().await;
    let operator = Principal::operator();
    let ada = world.account("ada@example.com", grant(Role::Analyst, over(ACME))).await;
    let password = change(|one| one.password = Some("another few words".to_owned()));
    world.door.change_account(&operator, &ada.id, password).await.expect("changed");
    world.door.delete_account(&operator, &ada.id).await.expect("deleted");
    let acts = world.acts().await;
    let acts: Vec<_> = acts.iter().filter(|act| act.action.starts_with("account.")).collect();
    let names: Vec<_> = acts.iter().map(|act| act.action.as_str()).collect();
    assert_eq!(names, ["account.delete", "account.change", "account.create"]);
    let text = format!("{acts:?}");
    assert!(!text.contains("few words") && !text.contains("argon2"), "{text}");
}

/// Takes every JWT for one of Ada's.
#[derive(Debug)]
struct Ada;

#[async_trait::async_trait]
impl JwtVerifier for Ada {
    async fn verify(&self, _: &str) -> Result<Vouched> {
        let principal = Arc::new(foreigner(grant(Role::Analyst, over(ACME))));
        Ok(Vouched { principal, without_grants: None })
    }
}

#[tokio::test]
async fn whose_account_is_disabled_gets_in_by_no_token_of_the_provider() {
    let world = World::new().await;
    world.door.set_jwt_verifier(Arc::new(Ada));
    let operator = Principal::operator();
    let account = account_of_ada(grant(Role::Analyst, over(ACME)));
    let account = world.door.create_account(&operator, account).await.expect("an account");
    let jwt = Credential::Jwt("a.b.c".to_owned());
    let owner = SessionOwner::Principal(foreigner(grant(Role::Analyst, over(ACME))));
    let session = world.door.open_session(owner, &Visitor::default()).await.expect("a session");
    let session = Credential::Session(session.secret);
    for disabled in [false, true, false] {
        let switch = change(|one| one.disabled = Some(disabled));
        world.door.change_account(&operator, &account.id, switch).await.expect("changed");
        for shown in [&jwt, &session] {
            assert_eq!(world.door.authenticate(shown).await.is_err(), disabled, "{shown:?}");
        }
    }
}

/// Vouches for Ada, to whom its claims give nothing.
#[derive(Debug)]
struct Unmapped;

#[async_trait::async_trait]
impl JwtVerifier for Unmapped {
    async fn verify(&self, _: &str) -> Result<Vouched> {
        let scopes = Permissions::of(&[Permission::ReadUsage]);
        let principal = Principal::new("issuer#ada", "Ada", Origin::Jwt, Vec::new(), scopes);
        Ok(Vouched { principal: Arc::new(principal), without_grants: Some("no mapping".into()) })
    }
}

fn account_of_ada(grant: Grant) -> AccountRequest {
    AccountRequest {
        email: "ada@example.com".to_owned(),
        name: "Ada".to_owned(),
        grants: vec![grant],
        password: None,
        subject: Some(IssuedSubject { issuer: "issuer".to_owned(), subject: "ada".to_owned() }),
    }
}

#[tokio::test]
async fn the_roles_of_an_account_go_before_those_of_the_provider() {
    let world = World::new().await;
    world.door.set_jwt_verifier(Arc::new(Ada));
    let jwt = Credential::Jwt("a.b.c".to_owned());
    let owner = SessionOwner::Principal(foreigner(grant(Role::Analyst, over(ACME))));
    let session = world.door.open_session(owner, &Visitor::default()).await.expect("a session");
    let session = Credential::Session(session.secret);
    for shown in [&jwt, &session] {
        let ada = world.door.authenticate(shown).await.expect("known");
        assert!(ada.may_in(Permission::RunSql, ACME), "{shown:?}");
    }
    let request = account_of_ada(grant(Role::OrganizationAdmin, over(BETA)));
    let account = world.door.create_account(&Principal::operator(), request).await;
    let account = account.expect("an account");
    for shown in [&jwt, &session] {
        let ada = world.door.authenticate(shown).await.expect("known");
        assert!(!ada.may_in(Permission::ReadUsage, ACME), "{shown:?}");
        assert!(ada.may_in(Permission::ReadUsage, BETA), "{shown:?}");
        assert_eq!(ada.share_id(), account.id, "{shown:?}");
    }
}

#[tokio::test]
async fn an_account_lets_in_whom_the_provider_gives_no_role() {
    let world = World::new().await;
    world.door.set_jwt_verifier(Arc::new(Unmapped));
    let jwt = Credential::Jwt("a.b.c".to_owned());
    let error = assert_kind(world.door.authenticate(&jwt).await, ErrorKind::Forbidden);
    assert_eq!(error.to_string(), "no mapping");
    let request = account_of_ada(grant(Role::Analyst, over(ACME)));
    world.door.create_account(&Principal::operator(), request).await.expect("an account");
    let ada = world.door.authenticate(&jwt).await.expect("known");
    assert!(ada.may_in(Permission::ReadUsage, ACME));
    assert!(!ada.may(Permission::RunSql), "its scopes narrow it");
}
