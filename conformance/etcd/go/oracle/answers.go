package main

import (
	"fmt"
	"sort"
	"strings"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/protoadapt"

	"switchboard/conformance/etcd/servers"
)

// What was answered, without who answered.
func text(message any, err error) string {
	if err != nil {
		s := status.Convert(err)
		return fmt.Sprintf("%v: %s", s.Code(), s.Message())
	}
	clean(message)
	old, ok := message.(protoadapt.MessageV1)
	if !ok {
		servers.Fatal(fmt.Errorf("%T is no message", message))
	}
	out := prototext.MarshalOptions{Multiline: false}.Format(protoadapt.MessageV2Of(old))
	return strings.Join(strings.Fields(out), " ")
}

func header(h *pb.ResponseHeader) {
	if h != nil {
		h.ClusterId, h.MemberId, h.RaftTerm = 0, 0, 0
	}
}

func clean(message any) {
	switch m := message.(type) {
	case *pb.RangeResponse:
		header(m.Header)
	case *pb.PutResponse:
		header(m.Header)
	case *pb.DeleteRangeResponse:
		header(m.Header)
	case *pb.TxnResponse:
		header(m.Header)
	case *pb.CompactionResponse:
		header(m.Header)
	case *pb.LeaseKeepAliveResponse:
		m.Header = nil
	case *pb.LeaseGrantResponse:
		m.Header = nil
	case *pb.LeaseRevokeResponse:
		m.Header = nil
	case *pb.LeaseTimeToLiveResponse:
		m.Header = nil
		m.TTL = 0
		sort.Slice(m.Keys, func(a, b int) bool { return string(m.Keys[a]) < string(m.Keys[b]) })
	case *pb.LeaseLeasesResponse:
		m.Header = nil
		sort.Slice(m.Leases, func(a, b int) bool { return m.Leases[a].ID < m.Leases[b].ID })
	}
}
