use super::*;

fn config(change: impl FnOnce(&mut Config)) -> Config {
    let mut config = Config {
        oidc_issuer: "https://id.example.com/realms/acme".to_owned(),
        oidc_client_id: "spendlake".to_owned(),
        public_url: "https://spend.example.com".to_owned(),
        ..Config::default()
    };
    change(&mut config);
    config
}

fn refused(change: impl FnOnce(&mut Config)) -> String {
    let error = OidcSettings::read(&config(change)).expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    error.full_message()
}

fn with_mappings(text: &str) -> Result<OidcSettings> {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("mappings.toml");
    std::fs::write(&file, text).expect("write");
    let read = OidcSettings::read(&config(|config| config.oidc_mappings_file = file));
    read.map(|settings| settings.expect("a provider"))
}

#[test]
fn without_an_issuer_there_is_no_provider_and_nothing_of_it() {
    assert!(OidcSettings::read(&Config::default()).expect("settings").is_none());
    let alone = refused(|config| config.oidc_issuer = String::new());
    assert!(alone.contains("oidc_client_id is set, but not oidc_issuer"), "{alone}");
}

#[test]
fn the_settings_of_people_and_machines_are_read() {
    let settings = OidcSettings::read(&config(|config| config.oidc_audience = "api".to_owned()));
    let settings = settings.expect("settings").expect("a provider");
    assert_eq!(settings.audience.as_deref(), Some("api"));
    let people = settings.people.expect("people");
    assert_eq!(people.redirect_url.as_str(), "https://spend.example.com/api/oidc/callback");
    assert!(people.client_secret.is_none());
}

#[test]
fn an_issuer_is_https_or_on_this_machine() {
    let is_taken = |issuer: &str| {
        OidcSettings::read(&config(|config| config.oidc_issuer = issuer.to_owned())).is_ok()
    };
    for issuer in ["https://id.example.com", "http://127.0.0.1:9000", "http://[::1]:9000/x"] {
        assert!(is_taken(issuer), "{issuer}");
    }
    for issuer in [
        "http://id.example.com",
        "http://127.0.0.1.evil.example",
        "http://10.0.0.1",
        "ftp://127.0.0.1",
        "https://user:word@id.example.com",
        "id.example.com",
    ] {
        assert!(!is_taken(issuer), "{issuer}");
    }
}

#[test]
fn settings_that_do_not_fit_together_are_refused_by_name() {
    let nobody = refused(|config| config.oidc_client_id = String::new());
    assert!(nobody.contains("nobody could use it"), "{nobody}");
    let nowhere = refused(|config| config.public_url = String::new());
    assert!(nowhere.contains("not public_url"), "{nowhere}");
    let below = refused(|config| config.public_url = "https://a.example/spend".to_owned());
    assert!(below.contains("scheme, host and port only"), "{below}");
    let plain = refused(|config| config.public_url = "http://spend.example.com".to_owned());
    assert!(plain.contains("it starts with https://"), "{plain}");
    let scopes = refused(|config| config.oidc_scopes = "profile".to_owned());
    assert!(scopes.contains("it needs openid"), "{scopes}");
    let domains = refused(|config| config.oidc_domains = "example.com, @other.com".to_owned());
    assert!(domains.contains("\"@other.com\""), "{domains}");
    let claim = refused(|config| {
        config.oidc_trust_grants = true;
        config.oidc_roles_claim = String::new();
    });
    assert!(claim.contains("oidc_roles_claim is empty"), "{claim}");
    let file = refused(|config| config.oidc_client_secret_file = "no/such/file".into());
    assert!(file.contains("oidc_client_secret_file (no/such/file) cannot be read"), "{file}");
}

#[test]
fn an_empty_secret_is_refused_and_no_secret_is_shown() {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("secret");
    std::fs::write(&file, " \n").expect("write");
    let empty = refused(|config| config.oidc_client_secret_file = file.clone());
    assert!(empty.contains("is empty"), "{empty}");
    std::fs::write(&file, "s3cret\n").expect("write");
    let settings = OidcSettings::read(&config(|config| config.oidc_client_secret_file = file));
    let settings = settings.expect("settings").expect("a provider");
    assert!(!format!("{settings:?}").contains("s3cret"));
    let people = settings.people.expect("people");
    assert_eq!(people.client_secret.expect("a secret").reveal(), "s3cret");
}

#[test]
fn domains_are_parted_by_commas_and_lower_case() {
    let settings = config(|config| config.oidc_domains = "Example.com, other.org,".to_owned());
    let settings = OidcSettings::read(&settings).expect("settings").expect("a provider");
    assert_eq!(settings.rules.domains, ["example.com", "other.org"]);
}

#[test]
fn a_mappings_file_holds_claims_with_grants() {
    let settings = with_mappings(
        "[[mapping]]\nclaim = \"groups\"\nvalue = \"admins\"\nrole = \"super_admin\"\n\
         over = \"platform\"\n\n[[mapping]]\nclaim = \"org\"\nrole = \"member\"\nover = \"user\"\n\
         organization_id = \"${org}\"\nuser_id = \"${sub}\"\n\n[[default]]\nrole = \"analyst\"\n\
         over = \"organization\"\norganization_id = \"o\"\n",
    );
    let rules = settings.expect("settings").rules;
    assert_eq!((rules.mappings.len(), rules.defaults.len()), (2, 1));
}

#[test]
fn a_mappings_file_with_a_mistake_stops_the_start() {
    let refused = |text: &str| {
        let error = with_mappings(text).map(|_| ()).expect_err("refused").full_message();
        assert!(error.contains("oidc_mappings_file"), "{error}");
        error
    };
    let mapping = |rest: &str| format!("[[mapping]]\nclaim = \"g\"\n{rest}\n");
    let admin = "role = \"super_admin\"\nover = \"platform\"";
    refused("[[mappings]]\n");
    refused(&mapping("role = \"emperor\"\nover = \"platform\""));
    refused(&mapping("role = \"analyst\""));
    refused(&mapping("role = \"analyst\"\nover = \"platform\"\nvalues = [\"a\"]"));
    let unfit = "role = \"super_admin\"\nover = \"team\"\norganization_id = \"o\"\nteam_id = \"t\"";
    assert!(refused(&mapping(unfit)).contains("held over the platform"));
    assert!(refused(&mapping(admin)).contains("names no value"));
    assert!(refused(&mapping(&format!("value = \"\"\n{admin}"))).contains("not empty"));
    assert!(refused(&format!("[[default]]\n{admin}\n")).contains("a default makes everybody"));
}

#[test]
fn the_documented_example_can_be_used() {
    let text = include_str!("../../../docs/ACCESS.md");
    let blocks: Vec<&str> = text.split("```toml\n").skip(1).collect();
    let block = |index: usize| blocks[index].split("```").next().expect("a block");
    let rules = with_mappings(block(1)).expect("mappings").rules;
    assert_eq!(rules.mappings.len(), 4);
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("spendlake.toml");
    std::fs::write(&file, block(0)).expect("write");
    Config::resolve(Some(&file), &Default::default()).expect("settings");
}
