// The same requests to a real etcd and to us, one after the other; the answers must be equal but for who gave them.
//
// The real one is built from its published modules in ../real and started on ports of its own, unless
// SWITCHBOARD_REAL_ETCD says where one is. SWITCHBOARD_ORACLE_SEED and SWITCHBOARD_ORACLE_OPERATIONS repeat a run.
package main

import (
	"context"
	"fmt"
	"math/rand"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/protoadapt"
)

// Outside what is read: keeps the two at the same revision where ours takes one and etcd takes none.
const pad = "\x00pad"

type side struct {
	kv    pb.KVClient
	lease pb.LeaseClient
	watch pb.Watch_WatchClient
	told  chan []string
}

func open(endpoint string) *side {
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, DialTimeout: 5 * time.Second, Logger: zap.NewNop()})
	if err != nil {
		fatal(err)
	}
	conn := client.ActiveConnection()
	s := &side{kv: pb.NewKVClient(conn), lease: pb.NewLeaseClient(conn), told: make(chan []string, 1)}
	s.watch, err = pb.NewWatchClient(conn).Watch(context.Background())
	if err != nil {
		fatal(err)
	}
	return s
}

func fatal(err error) {
	fmt.Println("not ok - oracle:", err)
	os.Exit(1)
}

// What was answered, without who answered.
func text(message any, err error) string {
	if err != nil {
		s := status.Convert(err)
		return fmt.Sprintf("%v: %s", s.Code(), s.Message())
	}
	clean(message)
	old, ok := message.(protoadapt.MessageV1)
	if !ok {
		fatal(fmt.Errorf("%T is no message", message))
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

type world struct {
	r          *rand.Rand
	real, ours *side
	revision   int64
	compacted  int64
	leases     map[int64]bool
}

func (w *world) key() []byte {
	if w.r.Intn(60) == 0 {
		return nil
	}
	return []byte("o/" + string(rune('a'+w.r.Intn(4))) + strings.Repeat("x", w.r.Intn(3)))
}

func (w *world) end(key []byte) []byte {
	switch w.r.Intn(6) {
	case 0:
		return []byte(clientv3.GetPrefixRangeEnd("o/"))
	case 1:
		return w.key()
	case 2:
		return []byte(clientv3.GetPrefixRangeEnd(string(key)))
	default:
		return nil
	}
}

func (w *world) someRevision() int64 {
	switch w.r.Intn(12) {
	case 0:
		return w.revision + int64(w.r.Intn(3)) - 1
	case 1, 2, 3:
		if span := w.revision - w.compacted; span > 0 {
			return w.compacted + w.r.Int63n(span)
		}
		return 1
	default:
		return 0
	}
}

func (w *world) lease() int64 {
	if w.r.Intn(3) > 0 {
		return 0
	}
	return int64(1 + w.r.Intn(4))
}

func (w *world) value() []byte { return []byte(strconv.Itoa(w.r.Intn(4))) }

func (w *world) rangeRequest() *pb.RangeRequest {
	key := w.key()
	q := &pb.RangeRequest{Key: key, RangeEnd: w.end(key), Revision: w.someRevision()}
	if w.r.Intn(2) == 0 {
		q.Limit = int64(w.r.Intn(4))
	}
	if w.r.Intn(3) == 0 {
		// Few enough keys that both keep equals in the order of their keys.
		q.SortOrder = pb.RangeRequest_SortOrder(w.r.Intn(3))
		q.SortTarget = pb.RangeRequest_SortTarget(w.r.Intn(5))
	}
	q.Serializable = w.r.Intn(2) == 0
	q.CountOnly = w.r.Intn(12) == 0
	q.KeysOnly = w.r.Intn(8) == 0
	if w.r.Intn(6) == 0 {
		q.MinModRevision, q.MaxModRevision = w.someRevision(), w.someRevision()
	}
	if w.r.Intn(6) == 0 {
		q.MinCreateRevision, q.MaxCreateRevision = w.someRevision(), w.someRevision()
	}
	return q
}

func (w *world) putRequest() *pb.PutRequest {
	q := &pb.PutRequest{Key: w.key(), Value: w.value(), Lease: w.lease(), PrevKv: w.r.Intn(3) == 0}
	if w.r.Intn(8) == 0 {
		q.IgnoreValue = true
		if w.r.Intn(4) > 0 {
			q.Value = nil
		}
	}
	if w.r.Intn(8) == 0 {
		q.IgnoreLease = true
		if w.r.Intn(4) > 0 {
			q.Lease = 0
		}
	}
	return q
}

func (w *world) deleteRequest() *pb.DeleteRangeRequest {
	key := w.key()
	return &pb.DeleteRangeRequest{Key: key, RangeEnd: w.end(key), PrevKv: w.r.Intn(2) == 0}
}

func (w *world) txnRequest(depth int) *pb.TxnRequest {
	q := &pb.TxnRequest{}
	for i := w.r.Intn(3); i > 0; i-- {
		key := w.key()
		c := &pb.Compare{Key: key, RangeEnd: w.end(key), Result: pb.Compare_CompareResult(w.r.Intn(4))}
		switch w.r.Intn(5) {
		case 0:
			c.Target, c.TargetUnion = pb.Compare_VERSION, &pb.Compare_Version{Version: int64(w.r.Intn(3))}
		case 1:
			c.Target, c.TargetUnion = pb.Compare_CREATE, &pb.Compare_CreateRevision{CreateRevision: w.someRevision()}
		case 2:
			c.Target, c.TargetUnion = pb.Compare_MOD, &pb.Compare_ModRevision{ModRevision: w.someRevision()}
		case 3:
			c.Target, c.TargetUnion = pb.Compare_VALUE, &pb.Compare_Value{Value: w.value()}
		case 4:
			c.Target, c.TargetUnion = pb.Compare_LEASE, &pb.Compare_Lease{Lease: w.lease()}
		}
		q.Compare = append(q.Compare, c)
	}
	ops := func() (ops []*pb.RequestOp) {
		for i := w.r.Intn(4); i > 0; i-- {
			op := &pb.RequestOp{}
			switch n := w.r.Intn(12); {
			case n < 4:
				op.Request = &pb.RequestOp_RequestPut{RequestPut: w.putRequest()}
			case n < 8:
				op.Request = &pb.RequestOp_RequestRange{RequestRange: w.rangeRequest()}
			case n < 10:
				op.Request = &pb.RequestOp_RequestDeleteRange{RequestDeleteRange: w.deleteRequest()}
			case n < 11 && depth < 2:
				op.Request = &pb.RequestOp_RequestTxn{RequestTxn: w.txnRequest(depth + 1)}
			default:
				if w.r.Intn(20) > 0 {
					op.Request = &pb.RequestOp_RequestPut{RequestPut: w.putRequest()}
				}
			}
			ops = append(ops, op)
		}
		return ops
	}
	q.Success, q.Failure = ops(), ops()
	return q
}

// One operation on both; what it was and what each said.
func (w *world) step() (string, string, string) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	both := func(what any, call func(*side) (any, error)) (string, string, string) {
		r, o := func() (string, string) {
			a, e := call(w.real)
			b, f := call(w.ours)
			w.follow(a)
			return text(a, e), text(b, f)
		}()
		return fmt.Sprintf("%T %v", what, what), r, o
	}
	switch n := w.r.Intn(100); {
	case n < 30:
		q := w.putRequest()
		return both(q, func(s *side) (any, error) { return s.kv.Put(ctx, q) })
	case n < 55:
		q := w.rangeRequest()
		return both(q, func(s *side) (any, error) { return s.kv.Range(ctx, q) })
	case n < 65:
		q := w.deleteRequest()
		return both(q, func(s *side) (any, error) { return s.kv.DeleteRange(ctx, q) })
	case n < 85:
		q := w.txnRequest(0)
		return both(q, func(s *side) (any, error) { return s.kv.Txn(ctx, q) })
	case n < 86:
		q := &pb.CompactionRequest{Revision: w.someRevision(), Physical: w.r.Intn(2) == 0}
		if q.Revision == 0 {
			return "", "", ""
		}
		what, r, o := both(q, func(s *side) (any, error) { return s.kv.Compact(ctx, q) })
		if strings.HasPrefix(r, "header") {
			w.compacted = max(w.compacted, q.Revision)
		}
		return what, r, o
	case n < 92:
		q := &pb.LeaseGrantRequest{ID: int64(1 + w.r.Intn(4)), TTL: 1000 + int64(w.r.Intn(3))}
		what, r, o := both(q, func(s *side) (any, error) { return s.lease.LeaseGrant(ctx, q) })
		if !strings.Contains(r, "exists") {
			w.leases[q.ID] = true
			w.padReal(ctx)
		}
		return what, r, o
	case n < 95:
		q := &pb.LeaseRevokeRequest{ID: int64(1 + w.r.Intn(4))}
		held := w.leases[q.ID] && w.hasKeys(ctx, q.ID)
		what, r, o := both(q, func(s *side) (any, error) { return s.lease.LeaseRevoke(ctx, q) })
		if w.leases[q.ID] {
			delete(w.leases, q.ID)
			if held {
				w.revision++
			} else {
				w.padReal(ctx)
			}
		}
		return what, r, o
	case n < 98:
		q := &pb.LeaseTimeToLiveRequest{ID: int64(1 + w.r.Intn(4)), Keys: true}
		if !w.leases[q.ID] {
			q.Keys = false
		}
		return both(q, func(s *side) (any, error) { return s.lease.LeaseTimeToLive(ctx, q) })
	default:
		q := &pb.LeaseLeasesRequest{}
		return both(q, func(s *side) (any, error) { return s.lease.LeaseLeases(ctx, q) })
	}
}

func (w *world) follow(answer any) {
	if a, ok := answer.(interface{ GetHeader() *pb.ResponseHeader }); ok {
		if h := a.GetHeader(); h != nil && h.Revision > w.revision {
			w.revision = h.Revision
		}
	}
}

func (w *world) hasKeys(ctx context.Context, id int64) bool {
	a, err := w.real.lease.LeaseTimeToLive(ctx, &pb.LeaseTimeToLiveRequest{ID: id, Keys: true})
	if err != nil {
		fatal(err)
	}
	return len(a.Keys) > 0
}

func (w *world) padReal(ctx context.Context) {
	a, err := w.real.kv.Put(ctx, &pb.PutRequest{Key: []byte(pad)})
	if err != nil {
		fatal(err)
	}
	w.revision = a.Header.Revision
}

// Reads events until the last of them; each as a line. From the beginning: compaction overtakes whoever reads late.
func (s *side) events() (lines []string) {
	for {
		a, err := s.watch.Recv()
		if err != nil {
			fatal(err)
		}
		for _, e := range a.Events {
			lines = append(lines, fmt.Sprintf("%v %v prev %v", e.Type, e.Kv, e.PrevKv))
			if string(e.Kv.Key) == "o/end" {
				return lines
			}
		}
		if a.Canceled {
			return append(lines, fmt.Sprintf("canceled %d %q", a.CompactRevision, a.CancelReason))
		}
	}
}

// A new etcd of our own, and what ends it.
func start() (string, func()) {
	if given := os.Getenv("SWITCHBOARD_REAL_ETCD"); given != "" {
		return given, func() {}
	}
	scratch := os.Getenv("SWITCHBOARD_CONFORMANCE_DIR")
	if scratch == "" {
		scratch = os.TempDir()
	}
	binary := filepath.Join(scratch, "real-etcd")
	build := exec.Command("go", "build", "-mod=readonly", "-o", binary, "go.etcd.io/etcd/server/v3")
	build.Dir = filepath.Join("..", "real")
	build.Env = append(os.Environ(), "GOTOOLCHAIN=local", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Printf("skip - oracle: a real etcd cannot be built: %v %s\n", err, strings.ReplaceAll(string(out), "\n", " "))
		os.Exit(0)
	}
	data, err := os.MkdirTemp(scratch, "real-etcd-data-")
	if err != nil {
		fatal(err)
	}
	client, peer := free(), free()
	server := exec.Command(binary, "--data-dir", data, "--log-level", "error", "--listen-client-urls", "http://"+client,
		"--advertise-client-urls", "http://"+client, "--listen-peer-urls", "http://"+peer)
	if err := server.Start(); err != nil {
		fatal(err)
	}
	for i := 0; i < 300; i++ {
		if c, err := net.Dial("tcp", client); err == nil {
			c.Close()
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	return client, func() {
		server.Process.Kill()
		server.Wait()
		os.RemoveAll(data)
	}
}

// Free a moment ago.
func free() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func number(variable string, otherwise int64) int64 {
	if n, err := strconv.ParseInt(os.Getenv(variable), 10, 64); err == nil {
		return n
	}
	return otherwise
}

func main() {
	real, stop := start()
	code := run(real, os.Getenv("SWITCHBOARD_ETCD"))
	stop()
	os.Exit(code)
}

func run(real, ours string) int {
	operations := int64(4000)
	if os.Getenv("SWITCHBOARD_CONFORMANCE_FULL") != "" {
		operations = 100_000
	}
	seed := number("SWITCHBOARD_ORACLE_SEED", time.Now().UnixNano())
	operations = number("SWITCHBOARD_ORACLE_OPERATIONS", operations)
	fmt.Println("seed", seed)
	w := &world{r: rand.New(rand.NewSource(seed)), real: open(real), ours: open(ours), leases: map[int64]bool{}}
	ctx := context.Background()
	a, err := w.ours.kv.Range(ctx, &pb.RangeRequest{Key: []byte("o/")})
	if err != nil {
		fatal(err)
	}
	// Other protocols may have written before us.
	for w.revision = 1; w.revision < a.Header.Revision; {
		w.padReal(ctx)
	}
	w.compacted = w.revision
	for _, s := range []*side{w.real, w.ours} {
		err := s.watch.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: &pb.WatchCreateRequest{
			Key: []byte("o/"), RangeEnd: []byte(clientv3.GetPrefixRangeEnd("o/")), PrevKv: true}}})
		if err != nil {
			fatal(err)
		}
		if a, err := s.watch.Recv(); err != nil || !a.Created {
			fatal(fmt.Errorf("no created: %v %v", a, err))
		}
		go func() { s.told <- s.events() }()
	}
	failed, done := 0, 0
	for i := int64(0); i < operations && failed < 10; i++ {
		what, real, ours := w.step()
		if what == "" {
			continue
		}
		done++
		if real != ours {
			failed++
			fmt.Printf("not ok - oracle seed %d operation %d: %s\n   etcd %s\n   ours %s\n", seed, i, what, real, ours)
		}
	}
	for _, s := range []*side{w.real, w.ours} {
		if _, err := s.kv.Put(ctx, &pb.PutRequest{Key: []byte("o/end")}); err != nil {
			fatal(err)
		}
	}
	told, ourTold := <-w.real.told, <-w.ours.told
	for i := 0; i < len(told) || i < len(ourTold); i++ {
		// What came before may be compacted by the time that etcd tells an event.
		if i < len(told) && i < len(ourTold) && strings.HasSuffix(told[i], "prev <nil>") {
			ourTold[i] = strings.Split(ourTold[i], "prev ")[0] + "prev <nil>"
		}
		if i >= len(told) || i >= len(ourTold) || told[i] != ourTold[i] {
			at := func(l []string) string {
				if i < len(l) {
					return l[i]
				}
				return "nothing"
			}
			failed++
			fmt.Printf("not ok - oracle seed %d event %d\n   etcd %s\n   ours %s\n", seed, i, at(told), at(ourTold))
			break
		}
	}
	if failed > 0 {
		return 1
	}
	fmt.Printf("ok - oracle: %d operations and %d events are as a real etcd's\n", done, len(told))
	return 0
}
