//! `send` to an `ehr-ingest` that runs on the real stack: MLLP, HL7 over HTTP and FHIR.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::{fs, time::Duration};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use waybill_testkit::{Installation, Stack, TOKEN, Unit};

const SOON: Duration = Duration::from_secs(60);

const ADT: &str = "MSH|^~\\&|EHR|GH|||20260304080000||ADT^A28|S1|P|2.5\nPID|1||42^^^GH^MR||Doe^Jane\n";
const BUNDLE: &str = r#"{"resourceType":"Bundle","type":"transaction","entry":[{"fullUrl":"urn:uuid:0b6e7a1c-2f7e-4d0b-9c55-6f0d0c1a2b3c",
  "resource":{"resourceType":"Patient","identifier":[{"system":"urn:oid:1.2.3","value":"42"}],"name":[{"family":"Doe"}]},
  "request":{"method":"POST","url":"Patient"}}]}"#;

#[tokio::test]
async fn messages_reach_the_real_door_by_every_way() {
    let Some(stack) = Stack::require().await else { return };
    let mut waybill = Installation::on(&stack).prepare().await.unwrap();
    waybill.start(Unit::EhrIngest).unwrap();
    waybill.unit(Unit::EhrIngest).unwrap().wait_ready(SOON).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (good, bad) =
        (write("good.hl7", ADT), write("bad.hl7", &ADT.replace("42^^^GH^MR", "").replace("S1", "S2")));
    let batch = write(
        "batch.hl7",
        &format!("BHS|^~\\&|EHR|GH\n{}{}BTS|2\n", ADT.replace("S1", "B1"), ADT.replace("S1", "B2")),
    );
    let bundle = write("bundle.json", BUNDLE);
    let wrong = write(
        "wrong.json",
        &BUNDLE.replace("\"Patient\",\"identifier\"", "\"Patient\",\"birthDate\":\"19\",\"identifier\""),
    );
    let token = write("token", TOKEN);
    let (mllp, http) = (waybill.mllp("ehr").unwrap().to_string(), waybill.http().unwrap());

    let send = |arguments: &[&str]| {
        let output = waybill.waybillctl(&[&["send"], arguments].concat()).unwrap();
        (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    let (code, text) = send(&[&good, "--mllp", &mllp, "--repeat", "2"]);
    assert!(code == Some(0) && text.contains("S1  AA  -"), "{text}");
    let (code, text) = send(&[&good, &bad, "--mllp", &mllp]);
    assert!(code == Some(1) && text.contains("S2  AE  PID^1^3^1 101"), "{text}");
    let (code, text) = send(&[&batch, "--mllp", &mllp]);
    assert!(code == Some(0) && text.contains("AA×2") && text.contains("1 sent: 1 accepted"), "{text}");
    let (code, text) = send(&[&batch, "--mllp", &mllp, "--split"]);
    assert!(code == Some(0) && text.contains("batch.hl7#2") && text.contains("2 sent: 2 accepted"), "{text}");

    let (code, text) = send(&[&good, &bundle, "--http", &http, "--token-file", &token]);
    assert!(code == Some(0) && text.contains("S1  AA  -") && text.contains("  200  -  "), "{text}");
    let (code, text) = send(&[&wrong, "--http", &http, "--token-file", &token]);
    assert!(code == Some(1) && text.contains("birthDate"), "{text}");
    let (code, text) = send(&[&bundle, "--http", &http]);
    assert!(code == Some(1) && text.contains("  401  "), "{text}");
    waybill.stop().await.unwrap();
}

/// Authority, certificate and key as PEM, for this machine and for either side.
fn certificate(usage: ExtendedKeyUsagePurpose) -> [String; 3] {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.distinguished_name.push(DnType::CommonName, "test authority");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    params.extended_key_usages = vec![usage];
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    [authority.pem(), certificate.pem(), key.serialize_pem()]
}

#[tokio::test]
async fn both_sides_show_certificates() {
    let Some(stack) = Stack::require().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let files = |side: &str, pems: [String; 3]| {
        ["ca", "cert", "key"]
            .iter()
            .zip(pems)
            .map(|(name, pem)| write(&format!("{side}-{name}.pem"), &pem))
            .collect()
    };
    let server: Vec<String> = files("server", certificate(ExtendedKeyUsagePurpose::ServerAuth));
    let client: Vec<String> = files("client", certificate(ExtendedKeyUsagePurpose::ClientAuth));
    let mut waybill = Installation::on(&stack).prepare().await.unwrap();
    for feed in ["feed.0", "feed.2"] {
        waybill.set(Unit::EhrIngest, &format!("{feed}.tls.cert_file"), server[1].as_str());
        waybill.set(Unit::EhrIngest, &format!("{feed}.tls.key_file"), server[2].as_str());
        waybill.set(Unit::EhrIngest, &format!("{feed}.tls.client_ca_file"), client[0].as_str());
    }
    waybill.start(Unit::EhrIngest).unwrap();
    waybill.unit(Unit::EhrIngest).unwrap().wait_ready(SOON).await.unwrap();
    let (message, token) = (write("good.hl7", ADT), write("token", TOKEN));
    let mllp = waybill.mllp("ehr").unwrap().to_string();
    let https = waybill.http().unwrap().replace("http://", "https://");
    let send = |arguments: &[&str]| {
        let output = waybill.waybillctl(&[&["send", &message], arguments].concat()).unwrap();
        (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    let shown = ["--tls-ca", &server[0], "--cert", &client[1], "--key", &client[2]];
    for to in [&["--mllp", &mllp][..], &["--http", &https, "--token-file", &token]] {
        let (code, text) = send(&[to, &shown].concat());
        assert!(code == Some(0) && text.contains("S1  AA  -"), "{to:?} {code:?}: {text}");
        // Without a certificate of one's own, and with another authority for the receiver's.
        let (code, text) = send(&[to, &shown[..2]].concat());
        assert!(code != Some(0) && !text.contains("AA"), "{to:?}: {text}");
        let (code, text) = send(&[to, &["--tls-ca", &client[0]]].concat());
        assert!(code == Some(69) && text.contains("does not answer"), "{to:?}: {text}");
    }
    waybill.stop().await.unwrap();
}
