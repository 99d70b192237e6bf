//! etcd, kube-apiserver and the few controllers that matter here, on loopback, for as long as the tests run.

use super::super::chart::{BUILD, binaries, helm};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client, Config,
    api::{DynamicObject, Patch, PatchParams},
    config::AuthInfo,
    core::ApiResource,
    discovery,
};
use std::{
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

const ADMIN: &str = "admin-token";
const OPERATOR: &str = "operator-token";
/// The ServiceAccount that the chart gives its rights to.
const OPERATOR_NAME: &str = "system:serviceaccount:switchboard:switchboard";

/// A control plane without nodes.
pub(crate) struct Server {
    pub(crate) url: String,
    pub(crate) port: u16,
    /// Closing these pipes is what ends the processes, however the tests end.
    _processes: Vec<Child>,
}

/// The one control plane of this test binary; started by the first test that needs it.
pub(crate) fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        // A runtime of its own: the test that comes first must not take the connections with it when it ends.
        std::thread::spawn(start).join().expect("the control plane starts")
    })
}

impl Server {
    /// A client that may do everything.
    pub(crate) fn admin(&self) -> Client {
        self.client(&self.url, ADMIN)
    }

    /// A client with exactly the rights that the chart gives to the operator.
    pub(crate) fn operator(&self) -> Client {
        self.client(&self.url, OPERATOR)
    }

    /// The operator's client through something that stands between.
    pub(crate) fn operator_through(&self, port: u16) -> Client {
        self.client(&format!("https://127.0.0.1:{port}"), OPERATOR)
    }

    fn client(&self, url: &str, token: &str) -> Client {
        let mut config = Config::new(url.parse().expect("the URL is one"));
        config.accept_invalid_certs = true;
        config.auth_info = AuthInfo { token: Some(token.to_owned().into()), ..AuthInfo::default() };
        Client::try_from(config).expect("a client needs no connection yet")
    }
}

fn start() -> Server {
    let folder =
        tempfile::Builder::new().prefix("switchboard-api-").tempdir().expect("a temporary folder").keep();
    let [etcd_port, peer_port, port] = free_ports();
    let mut processes = Vec::new();
    let etcd = format!("http://127.0.0.1:{etcd_port}");
    let peer = format!("http://127.0.0.1:{peer_port}");
    let data = folder.join("etcd").display().to_string();
    let arguments = [
        "--data-dir",
        &data,
        "--unsafe-no-fsync",
        "--listen-client-urls",
        &etcd,
        "--advertise-client-urls",
        &etcd,
        "--listen-peer-urls",
        &peer,
        "--initial-advertise-peer-urls",
        &peer,
        "--initial-cluster",
        &format!("default={peer}"),
        "--log-level",
        "error",
    ];
    processes.push(spawn(&folder, "etcd", &arguments));
    let path = |name: &str| folder.join(name).display().to_string();
    write(&folder, "tokens.csv", &format!("{ADMIN},admin,1,system:masters\n{OPERATOR},{OPERATOR_NAME},2\n"));
    openssl(&["genrsa", "-out", &path("sa.key"), "2048"]);
    openssl(&["rsa", "-in", &path("sa.key"), "-pubout", "-out", &path("sa.pub")]);
    let flags = [
        format!("--etcd-servers={etcd}"),
        "--bind-address=127.0.0.1".into(),
        "--advertise-address=127.0.0.1".into(),
        format!("--secure-port={port}"),
        format!("--cert-dir={}", path("apiserver")),
        "--service-cluster-ip-range=10.0.0.0/16".into(),
        "--service-account-issuer=https://switchboard.test".into(),
        format!("--service-account-key-file={}", path("sa.pub")),
        format!("--service-account-signing-key-file={}", path("sa.key")),
        format!("--token-auth-file={}", path("tokens.csv")),
        "--authorization-mode=RBAC".into(),
        "--enable-admission-plugins=OwnerReferencesPermissionEnforcement".into(),
        "--disable-admission-plugins=ServiceAccount".into(),
    ];
    processes.push(spawn(&folder, "kube-apiserver", &flags.each_ref().map(String::as_str)));
    let mut server = Server { url: format!("https://127.0.0.1:{port}"), port, _processes: processes };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(wait_until_ready(&server, &folder));
    write(&folder, "controllers.yaml", &kubeconfig(&server.url));
    let controllers = [
        &format!("--kubeconfig={}", path("controllers.yaml")),
        "--controllers=garbage-collector-controller,statefulset-controller,persistentvolumeclaim-protection-controller",
        "--leader-elect=false",
        "--secure-port=0",
    ];
    server._processes.push(spawn(&folder, "kube-controller-manager", &controllers));
    runtime.block_on(install(&server));
    server
}

/// Starts a process that ends when this one does: a shell waits for the end of its standard input, which the kernel
/// closes with the test process, and then ends the process and removes the folder. Signals to the whole group, as from
/// a terminal, must not end the shell before that.
fn spawn(folder: &Path, name: &str, arguments: &[&str]) -> Child {
    let binary = binaries().join(name);
    assert!(binary.is_file(), "{} is missing; {BUILD}", binary.display());
    let log = std::fs::File::create(folder.join(format!("{name}.log"))).expect("a log file");
    let script = r#"trap '' HUP INT TERM; folder=$1; shift; "$@" </dev/null & child=$!; read -r _; kill -KILL $child; wait; rm -rf "$folder""#;
    Command::new("sh")
        .args(["-c", script, "sh"])
        .arg(folder)
        .arg(&binary)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(log.try_clone().expect("a second handle"))
        .stderr(log)
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start {}: {error}", binary.display()))
}

fn free_ports() -> [u16; 3] {
    let bound = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    bound.each_ref().map(|listener| listener.local_addr().expect("it is bound").port())
}

fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).unwrap_or_else(|error| panic!("cannot write {name}: {error}"));
}

fn openssl(arguments: &[&str]) {
    let output = Command::new("openssl").args(arguments).output();
    let output = output
        .unwrap_or_else(|error| panic!("cannot run openssl: {error}; install it: apt-get install openssl"));
    assert!(output.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn kubeconfig(url: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\n\
         clusters: [{{name: c, cluster: {{server: '{url}', insecure-skip-tls-verify: true}}}}]\n\
         users: [{{name: u, user: {{token: {ADMIN}}}}}]\n\
         contexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n"
    )
}

async fn wait_until_ready(server: &Server, folder: &Path) {
    let client = server.admin();
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let request = hyper::Request::get("/readyz").body(Vec::new()).expect("a request");
        match client.request_text(request).await {
            Ok(answer) if answer == "ok" => return,
            answer => assert!(
                Instant::now() < deadline,
                "the API server did not become ready: {answer:?}; its logs are in {}",
                folder.display()
            ),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Installs the definition and the chart's rights, as Helm would.
async fn install(server: &Server) {
    let client = server.admin();
    let crd = switchboard_operator::crd::definition();
    let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
    let params = PatchParams::apply("test").force();
    let name = crd.metadata.name.clone().expect("it has a name");
    let applied = crds.patch(&name, &params, &Patch::Apply(&crd)).await;
    applied.unwrap_or_else(|error| panic!("the API server refuses the definition: {}", message(error)));
    let established =
        kube::runtime::wait::await_condition(crds, &name, kube::runtime::conditions::is_crd_established());
    let established = tokio::time::timeout(Duration::from_secs(20), established).await;
    established.expect("the definition is established in time").expect("and can be watched");
    let chart = super::super::golden::folder("../charts/switchboard").display().to_string();
    let rights =
        helm(&["template", "switchboard", &chart, "-n", "switchboard", "--show-only", "templates/rbac.yaml"]);
    let rights: Vec<serde_json::Value> =
        serde_yaml::from_multiple(&rights.expect("the chart renders")).expect("YAML");
    namespace(&client, "switchboard").await;
    for object in rights {
        apply(&client, object).await;
    }
}

/// The API server's own sentence where there is one.
pub(crate) fn message(error: kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    }
}

/// Makes a namespace if there is none.
pub(crate) async fn namespace(client: &Client, name: &str) {
    let body = serde_json::json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    apply(client, body).await;
}

/// Applies any object.
pub(crate) async fn apply(client: &Client, body: serde_json::Value) {
    let object: DynamicObject = serde_json::from_value(body.clone()).expect("it is an object");
    let types = object.types.clone().expect("it has a kind");
    let gvk = kube::core::GroupVersionKind::try_from(&types).expect("it has a version");
    let (resource, _): (ApiResource, _) =
        discovery::pinned_kind(client, &gvk).await.expect("the kind is known");
    let api: Api<DynamicObject> = match &object.metadata.namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    let name = object.metadata.name.clone().expect("it has a name");
    let applied = api.patch(&name, &PatchParams::apply("test").force(), &Patch::Apply(&body)).await;
    applied.unwrap_or_else(|error| panic!("cannot apply {} {name}: {}", types.kind, message(error)));
}
