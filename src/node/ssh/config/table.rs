//! Every directive of ssh_config.

use super::directive::{Directive, Takes};

const fn one(name: &'static str, takes: Takes) -> Directive {
    Directive { name, takes }
}

const YES_NO_ASK: Takes = Takes::Choice(&[
    ("yes", "yes"),
    ("true", "yes"),
    ("no", "no"),
    ("false", "no"),
    ("ask", "ask"),
]);

const CHECKING: Takes = Takes::Choice(&[
    ("yes", "yes"),
    ("true", "yes"),
    ("ask", "ask"),
    ("accept-new", "accept-new"),
    ("no", "no"),
    ("false", "no"),
    ("off", "no"),
]);

const PUBKEY: Takes = Takes::Choice(&[
    ("yes", "yes"),
    ("true", "yes"),
    ("unbound", "yes"),
    ("host-bound", "yes"),
    ("no", "no"),
    ("false", "no"),
]);

const CANONICALIZE: Takes = Takes::Choice(&[
    ("yes", "yes"),
    ("true", "yes"),
    ("always", "always"),
    ("no", "no"),
    ("false", "no"),
]);

const FAMILY: Takes = Takes::Choice(&[("any", "any"), ("inet", "inet"), ("inet6", "inet6")]);

/// Those whose values are looked at.
const DIRECTIVES: &[Directive] = &[
    one("addressfamily", FAMILY),
    one("batchmode", Takes::Flag),
    one("bindaddress", Takes::Word),
    one("bindinterface", Takes::Word),
    one("canonicalizehostname", CANONICALIZE),
    one("canonicalizepermittedcnames", Takes::Words(usize::MAX)),
    one("casignaturealgorithms", Takes::Algorithms),
    one("certificatefile", Takes::Word),
    one("checkhostip", Takes::Flag),
    one("ciphers", Takes::Algorithms),
    one("compression", Takes::Flag),
    one("connectionattempts", Takes::Number),
    one("connecttimeout", Takes::Time),
    one("globalknownhostsfile", Takes::Files),
    one("gssapiauthentication", Takes::Flag),
    one("hashknownhosts", Takes::Flag),
    one("hostbasedauthentication", Takes::Flag),
    one("hostkeyalgorithms", Takes::Algorithms),
    one("hostkeyalias", Takes::Word),
    one("hostname", Takes::Word),
    one("identitiesonly", Takes::Flag),
    one("identityagent", Takes::Agent),
    one("identityfile", Takes::Word),
    one("ignoreunknown", Takes::Word),
    one("kbdinteractiveauthentication", Takes::Flag),
    one("kexalgorithms", Takes::Algorithms),
    one("knownhostscommand", Takes::Line),
    one("localcommand", Takes::Line),
    one("macs", Takes::Algorithms),
    one("nohostauthenticationforlocalhost", Takes::Flag),
    one("passwordauthentication", Takes::Flag),
    one("permitlocalcommand", Takes::Flag),
    one("pkcs11provider", Takes::Word),
    one("port", Takes::Port),
    one("preferredauthentications", Takes::Word),
    one("proxycommand", Takes::Line),
    one("proxyjump", Takes::Jumps),
    one("proxyusefdpass", Takes::Flag),
    one("pubkeyacceptedalgorithms", Takes::Algorithms),
    one("pubkeyauthentication", PUBKEY),
    one("rekeylimit", Takes::Rekey),
    one("requiredrsasize", Takes::Number),
    one("revokedhostkeys", Takes::Word),
    one("securitykeyprovider", Takes::Word),
    one("serveralivecountmax", Takes::Number),
    one("serveraliveinterval", Takes::Time),
    one("stricthostkeychecking", CHECKING),
    one("tag", Takes::Word),
    one("user", Takes::User),
    one("userknownhostsfile", Takes::Files),
    one("verifyhostkeydns", YES_NO_ASK),
    // Of no use to a line that runs commands, but of a form that OpenSSH checks.
    one("clearallforwardings", Takes::Flag),
    one("enableescapecommandline", Takes::Flag),
    one("enablesshkeysign", Takes::Flag),
    one("exitonforwardfailure", Takes::Flag),
    one("forkafterauthentication", Takes::Flag),
    one("forwardx11", Takes::Flag),
    one("forwardx11trusted", Takes::Flag),
    one("gatewayports", Takes::Flag),
    one("gssapidelegatecredentials", Takes::Flag),
    one("numberofpasswordprompts", Takes::Number),
    one("remotecommand", Takes::Line),
    one("stdinnull", Takes::Flag),
    one("streamlocalbindunlink", Takes::Flag),
    one("tcpkeepalive", Takes::Flag),
    one("updatehostkeys", YES_NO_ASK),
    one("visualhostkey", Takes::Flag),
];

/// Other names of these.
const ALIASES: &[(&str, &str)] = &[
    ("challengeresponseauthentication", "kbdinteractiveauthentication"),
    ("dsaauthentication", "pubkeyauthentication"),
    ("identityfile2", "identityfile"),
    ("keepalive", "tcpkeepalive"),
    ("pubkeyacceptedkeytypes", "pubkeyacceptedalgorithms"),
    ("skeyauthentication", "kbdinteractiveauthentication"),
    ("smartcarddevice", "pkcs11provider"),
    ("tisauthentication", "kbdinteractiveauthentication"),
];

/// Keywords that change nothing for a line that runs commands: forwarding, terminals, prompts,
/// logs, and what OpenSSH itself no longer looks at.
const IDLE: &[&str] = &[
    "addkeystoagent",
    "afstokenpassing",
    "canonicaldomains",
    "canonicalizefallbacklocal",
    "canonicalizemaxdots",
    "channeltimeout",
    "cipher",
    "compressionlevel",
    "controlmaster",
    "controlpath",
    "controlpersist",
    "dynamicforward",
    "escapechar",
    "fallbacktorsh",
    "fingerprinthash",
    "forwardagent",
    "forwardx11timeout",
    "globalknownhostsfile2",
    "gssapiclientidentity",
    "gssapikexalgorithms",
    "gssapikeyexchange",
    "gssapirenewalforcesrekey",
    "gssapiserveridentity",
    "gssapitrustdns",
    "hostbasedacceptedalgorithms",
    "hostbasedkeytypes",
    "ipqos",
    "kbdinteractivedevices",
    "kerberosauthentication",
    "kerberostgtpassing",
    "localforward",
    "loglevel",
    "logverbose",
    "obscurekeystroketiming",
    "permitremoteopen",
    "protocol",
    "remoteforward",
    "requesttty",
    "rhostsauthentication",
    "rhostsrsaauthentication",
    "rsaauthentication",
    "sendenv",
    "sessiontype",
    "setenv",
    "streamlocalbindmask",
    "syslogfacility",
    "tunnel",
    "tunneldevice",
    "useprivilegedport",
    "userknownhostsfile2",
    "useroaming",
    "usersh",
    "versionaddendum",
    "warnweakcrypto",
    "xauthlocation",
];

static ANY: Directive = one("", Takes::Any);

/// Returns the directive of a keyword in lower case; none when it is not known here.
pub(super) fn find(keyword: &str) -> Option<&'static Directive> {
    let alias = ALIASES.iter().find(|(alias, _)| *alias == keyword);
    let name = alias.map_or(keyword, |(_, name)| name);
    if IDLE.contains(&name) {
        return Some(&ANY);
    }
    DIRECTIVES.iter().find(|directive| directive.name == name)
}
