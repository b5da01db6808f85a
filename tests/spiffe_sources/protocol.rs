//! What the authority's sockets answer to calls that no well-behaved client makes, and who may call.

use crate::run;
use crate::support::{Folder, authority, id};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

async fn connect(socket: &Path) -> Grpc<Channel> {
    let address = format!("unix://{}", socket.display());
    Grpc::new(Endpoint::from_shared(address).unwrap().connect().await.unwrap())
}

/// Calls a method with an empty message, and waits for the first message of the answer, whatever is in it.
async fn call(
    grpc: &mut Grpc<Channel>,
    path: &'static str,
    header: Option<&'static str>,
) -> Result<(), Status> {
    let mut request = Request::new(());
    if let Some(value) = header {
        request.metadata_mut().insert("workload.spiffe.io", value.parse().unwrap());
    }
    let codec = ProstCodec::<(), ()>::default();
    grpc.ready().await.map_err(|why| Status::unknown(why.to_string()))?;
    let answer = grpc.server_streaming(request, PathAndQuery::from_static(path), codec).await?;
    answer.into_inner().message().await?.ok_or_else(|| Status::unknown("no message"))
}

async fn code(grpc: &mut Grpc<Channel>, path: &'static str, header: Option<&'static str>) -> Code {
    call(grpc, path, header).await.map_or_else(|status| status.code(), |()| Code::Ok)
}

#[test]
fn the_workload_api_demands_its_header() {
    run(async {
        let (folder, authority) = (Folder::new(), authority(&["web", "db"]));
        let socket = folder.join("api");
        let _serving = authority.serve_workload_api(&socket, [id("web"), id("db")]).unwrap();
        let mut grpc = connect(&socket).await;
        for path in ["/SpiffeWorkloadAPI/FetchX509SVID", "/SpiffeWorkloadAPI/FetchX509Bundles"] {
            assert_eq!(code(&mut grpc, path, None).await, Code::InvalidArgument);
            assert_eq!(code(&mut grpc, path, Some("false")).await, Code::InvalidArgument);
            assert_eq!(code(&mut grpc, path, Some("true")).await, Code::Ok);
        }
        for path in ["/SpiffeWorkloadAPI/FetchJWTSVID", "/SpiffeWorkloadAPI/FetchJWTBundles", "/Other/Method"]
        {
            assert_eq!(code(&mut grpc, path, Some("true")).await, Code::Unimplemented);
        }
        // One of two identities is enough to be somebody.
        authority.deny(&id("web")).unwrap();
        assert_eq!(code(&mut grpc, "/SpiffeWorkloadAPI/FetchX509SVID", Some("true")).await, Code::Ok);
        authority.deny(&id("db")).unwrap();
        for path in ["/SpiffeWorkloadAPI/FetchX509SVID", "/SpiffeWorkloadAPI/FetchX509Bundles"] {
            assert_eq!(code(&mut grpc, path, Some("true")).await, Code::PermissionDenied);
        }
    });
}

#[test]
fn sds_answers_single_requests_too() {
    run(async {
        let (folder, authority) = (Folder::new(), authority(&["web"]));
        let socket = folder.join("sds");
        let _serving = authority.serve_sds(&socket, [id("web")]).unwrap();
        let mut grpc = connect(&socket).await;
        let path = "/envoy.service.secret.v3.SecretDiscoveryService/FetchSecrets";
        assert_eq!(code(&mut grpc, path, None).await, Code::Ok);
        authority.deny(&id("web")).unwrap();
        assert_eq!(code(&mut grpc, path, None).await, Code::PermissionDenied);
        let path = "/envoy.service.secret.v3.SecretDiscoveryService/DeltaSecrets";
        assert_eq!(code(&mut grpc, path, None).await, Code::Unimplemented);
    });
}

#[test]
fn sockets_are_ours_alone_and_come_and_go() {
    run(async {
        let (folder, authority) = (Folder::new(), authority(&["web"]));
        let socket = folder.join("api");
        std::fs::write(&socket, "left by somebody").unwrap();
        let serving = authority.serve_workload_api(&socket, [id("web")]).unwrap();
        let found = std::fs::metadata(&socket).unwrap();
        assert!(found.file_type().is_socket());
        assert_eq!(found.permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.join(".")).unwrap().count(), 1, "something is left over");
        serving.stop().await;
        assert!(!socket.exists());
        assert!(authority.serve_workload_api(folder.join("no/such/folder"), [id("web")]).is_err());
    });
}
