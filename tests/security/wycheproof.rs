//! C2SP Wycheproof: its vectors against the primitives of aws-lc-rs that the product uses, in the way it uses them, and
//! against our own reader of link tokens. What the product does not use (other key or nonce sizes, truncated tags) is counted.

use std::fs;

use assay::gate::link::{
    token::{AUDIENCE_DECIDE, AUDIENCE_VIEW},
    verify::{LinkKey, Signed, open},
};
use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    hkdf, hmac,
    rsa::{OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, PrivateDecryptingKey},
    signature::{
        ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
    },
};
use serde_json::Value;
use time::OffsetDateTime;

use super::{cases::Outcome, jws_vectors::key};
use crate::support::shared;

/// Each vector of a file with its group, and the number that the file says it holds.
fn vectors(file: &str) -> Option<Vec<(Value, Value)>> {
    let own = shared::dir("ASSAY_SECURITY_CASES", "security")?.join("wycheproof");
    // A folder of one's own cases may hold none of these: then they are those that lie beside the repository.
    let folder = if own.exists() { own } else { shared::dir("ASSAY_WYCHEPROOF", "security/wycheproof")? };
    let path = folder.join(file);
    let bytes = fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut all: Value = serde_json::from_slice(&bytes).unwrap();
    let mut vectors = Vec::new();
    for group in all["testGroups"].as_array_mut().unwrap() {
        let tests = group["tests"].take();
        vectors.extend(tests.as_array().unwrap().iter().map(|test| (group.clone(), test.clone())));
    }
    assert_eq!(Some(vectors.len() as u64), all["numberOfTests"].as_u64(), "{file}");
    Some(vectors)
}

fn bytes(value: &Value) -> Vec<u8> {
    let hex = value.as_str().unwrap();
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn run(file: &str, judge: impl Fn(&Value, &Value) -> Option<bool>) {
    let Some(vectors) = vectors(file) else { return };
    let mut outcome = Outcome::default();
    for (group, test) in vectors {
        match judge(&group, &test) {
            Some(accepted) => {
                let right = test["result"] == "acceptable" || accepted == (test["result"] == "valid");
                let problem = (!right).then(|| format!("accepted: {accepted} ({})", test["comment"]));
                outcome.add(&format!("{file} {}", test["tcId"]), problem);
            }
            None => outcome.skip("a size that the product does not use"),
        }
    }
    outcome.end(file);
}

fn signature(file: &str, algorithm: &'static dyn VerificationAlgorithm, public: impl Fn(&Value) -> Vec<u8>) {
    run(file, |group, test| {
        let key = UnparsedPublicKey::new(algorithm, public(group));
        Some(key.verify(&bytes(&test["msg"]), &bytes(&test["sig"])).is_ok())
    });
}

#[test]
fn security_cases_wycheproof_signatures() {
    let point = |group: &Value| bytes(&group["publicKey"]["uncompressed"]);
    signature("ecdsa_secp256r1_sha256_p1363_test.json", &ECDSA_P256_SHA256_FIXED, point);
    signature("ecdsa_secp256r1_sha256_test.json", &ECDSA_P256_SHA256_ASN1, point);
    signature("ed25519_test.json", &ED25519, |group| bytes(&group["publicKey"]["pk"]));
    signature("rsa_signature_2048_sha256_test.json", &RSA_PKCS1_2048_8192_SHA256, |group| bytes(&group["publicKeyAsn"]));
}

/// The same vectors through the key that checks links.
#[test]
fn security_cases_wycheproof_link_keys() {
    run("ecdsa_secp256r1_sha256_p1363_test.json", |group, test| {
        let key = LinkKey::new("k", &bytes(&group["publicKey"]["uncompressed"]))?;
        let text = bytes(&test["msg"]);
        let signed = Signed { header: Vec::new(), payload: Vec::new(), text: &text, signature: bytes(&test["sig"]) };
        Some(signed.holds_under(&key))
    });
}

#[test]
fn security_cases_wycheproof_sealing() {
    run("aes_gcm_test.json", |group, test| {
        let fits = group["keySize"] == 256 && group["ivSize"] == 96 && group["tagSize"] == 128;
        fits.then(|| {
            let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &bytes(&test["key"])).unwrap());
            let nonce = || Nonce::try_assume_unique_for_key(&bytes(&test["iv"])).unwrap();
            let mut sealed = [bytes(&test["ct"]), bytes(&test["tag"])].concat();
            let opened =
                key.open_in_place(nonce(), Aad::from(bytes(&test["aad"])), &mut sealed).is_ok_and(|plain| *plain == bytes(&test["msg"]));
            let mut plain = bytes(&test["msg"]);
            key.seal_in_place_append_tag(nonce(), Aad::from(bytes(&test["aad"])), &mut plain).unwrap();
            opened && plain == [bytes(&test["ct"]), bytes(&test["tag"])].concat()
        })
    });
    run("hkdf_sha256_test.json", |_, test| {
        struct Size(usize);
        impl hkdf::KeyType for Size {
            fn len(&self) -> usize {
                self.0
            }
        }
        let size = usize::try_from(test["size"].as_u64().unwrap()).unwrap();
        let key = hkdf::Salt::new(hkdf::HKDF_SHA256, &bytes(&test["salt"])).extract(&bytes(&test["ikm"]));
        let mut made = vec![0; size];
        let info = bytes(&test["info"]);
        Some(key.expand(&[&info], Size(size)).is_ok_and(|okm| okm.fill(&mut made).is_ok()) && made == bytes(&test["okm"]))
    });
    run("hmac_sha256_test.json", |group, test| {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &bytes(&test["key"]));
        (group["tagSize"] == 256).then(|| hmac::verify(&key, &bytes(&test["msg"]), &bytes(&test["tag"])).is_ok())
    });
    run("rsa_oaep_3072_sha256_mgf1sha256_test.json", |group, test| {
        let key = PrivateDecryptingKey::from_pkcs8(&bytes(&group["privateKeyPkcs8"])).unwrap();
        let key = OaepPrivateDecryptingKey::new(key).unwrap();
        let mut plain = vec![0; key.min_output_size()];
        let label = Some(bytes(&test["label"])).filter(|label| !label.is_empty());
        let opened = key.decrypt(&OAEP_SHA256_MGF1SHA256, &bytes(&test["ct"]), &mut plain, label.as_deref());
        Some(opened.is_ok_and(|plain| *plain == bytes(&test["msg"])))
    });
}

/// JWS and JWK: none of these is a link of ours, so none is taken, under any key of theirs that we could hold. Below that,
/// a signature holds exactly where it should.
#[test]
fn security_cases_wycheproof_tokens() {
    let mut outcome = Outcome::default();
    for file in ["json_web_signature_test.json", "json_web_key_test.json"] {
        let Some(vectors) = vectors(file) else { return };
        for (group, test) in vectors {
            let public = if group["public"].is_object() { &group["public"] } else { &group["private"] };
            let jwks: Vec<Value> = public["keys"].as_array().cloned().unwrap_or_else(|| vec![public.clone()]);
            let ours = |jwk: &&Value| jwk["kty"] == "EC" && jwk["crv"] == "P-256";
            let keys: Vec<LinkKey> = jwks.iter().filter(ours).filter_map(key).collect();
            let compact = test["jws"].as_str().unwrap();
            let now = OffsetDateTime::UNIX_EPOCH;
            let taken = [AUDIENCE_VIEW, AUDIENCE_DECIDE].iter().find_map(|aud| open(compact, &keys, now, "https://x", aud).ok());
            let mut problem = taken.map(|_| "taken as a link".to_owned());
            // The keys that may not sign say so in the JWK, and we read none.
            let may_sign = jwks.iter().all(|jwk| jwk["alg"] == "ES256" && jwk["use"] == "sig");
            if let ([key], true, Ok(signed)) = (&keys[..], may_sign, Signed::parse(compact)) {
                let names_es256 = serde_json::from_slice::<Value>(&signed.header).is_ok_and(|header| header["alg"] == "ES256");
                if names_es256 && signed.holds_under(key) != (test["result"] == "valid") {
                    problem = Some("the signature check disagrees".into());
                }
            }
            outcome.add(&format!("{file} {}", test["tcId"]), problem);
        }
    }
    outcome.end("vectors of JWS and JWK");
}
