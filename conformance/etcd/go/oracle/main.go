// The same requests to a real etcd and to us, one after the other; the answers must be equal but for who gave them.
//
// Both are started on ports of their own, and killed and started again on the way. ETCD_BIN names a real one; without it
// one is built from its published modules in ../real. SWITCHBOARD_ORACLE_SEED and SWITCHBOARD_ORACLE_OPERATIONS repeat a run.
package main

import (
	"context"
	"fmt"
	"math/rand"
	"os"
	"strconv"
	"strings"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"switchboard/conformance/etcd/servers"
)

// Outside what is read: keeps the two at the same revision where ours takes one and etcd takes none.
const pad = "\x00pad"

type side struct {
	process *servers.Process
	client  *clientv3.Client
	kv      pb.KVClient
	lease   pb.LeaseClient
	watches *watches
	told    map[int64][]string
}

func (s *side) open() {
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{s.process.Endpoint}, DialTimeout: 5 * time.Second, Logger: zap.NewNop()})
	if err != nil {
		servers.Fatal(err)
	}
	conn := client.ActiveConnection()
	s.client, s.kv, s.lease = client, pb.NewKVClient(conn), pb.NewLeaseClient(conn)
	for i := 0; ; i++ {
		_, err := s.kv.Range(context.Background(), &pb.RangeRequest{Key: []byte("o/")})
		if err == nil {
			break
		}
		if i > 300 {
			servers.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	s.watches = newWatches(pb.NewWatchClient(conn), s.told)
}

func (s *side) keepAlive(ctx context.Context, id int64) (any, error) {
	stream, err := s.lease.LeaseKeepAlive(ctx)
	if err != nil {
		return nil, err
	}
	if err := stream.Send(&pb.LeaseKeepAliveRequest{ID: id}); err != nil {
		return nil, err
	}
	defer stream.CloseSend()
	return stream.Recv()
}

type world struct {
	r          *rand.Rand
	real, ours *side
	revision   int64
	compacted  int64
	leases     map[int64]bool
	watching   map[int64]*pb.WatchCreateRequest
	lastWatch  int64
	// What was asked for each, to be told with a difference.
	asked map[int64]string
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
	case n < 2:
		return w.changeWatchers(), "", ""
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
		// What is compacted before it was told is not told by the one that is behind.
		w.settle()
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
			if !held {
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
	case n < 99:
		id := int64(1 + w.r.Intn(4))
		return both(fmt.Sprintf("keep alive %d", id), func(s *side) (any, error) { return s.keepAlive(ctx, id) })
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
		servers.Fatal(err)
	}
	return len(a.Keys) > 0
}

func (w *world) padReal(ctx context.Context) {
	a, err := w.real.kv.Put(ctx, &pb.PutRequest{Key: []byte(pad)})
	if err != nil {
		servers.Fatal(err)
	}
	w.revision = a.Header.Revision
}

// Killed in the middle and started again on what was kept. What watchers were told goes on where it was.
func (w *world) restart() {
	w.settle()
	for _, s := range []*side{w.real, w.ours} {
		s.process.Kill()
		s.client.Close()
		s.process.Start()
		s.open()
		for id := int64(1); id <= w.lastWatch; id++ {
			if q := w.watching[id]; q != nil {
				again := *q
				again.StartRevision = max(q.StartRevision, w.revision+1)
				s.watches.create(&again)
			}
		}
	}
}

// Keys whose lease is left to end: all of them go in one revision.
func (w *world) expire() {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	const id = 99
	for _, s := range []*side{w.real, w.ours} {
		if _, err := s.lease.LeaseGrant(ctx, &pb.LeaseGrantRequest{ID: id, TTL: 1}); err != nil {
			servers.Fatal(err)
		}
	}
	w.padReal(ctx)
	for _, s := range []*side{w.real, w.ours} {
		txn := &pb.TxnRequest{}
		for _, key := range []string{"o/c", "o/a", "o/b"} {
			put := &pb.PutRequest{Key: []byte(key), Value: []byte("x"), Lease: id}
			txn.Success = append(txn.Success, &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: put}})
		}
		if _, err := s.kv.Txn(ctx, txn); err != nil {
			servers.Fatal(err)
		}
	}
	for _, s := range []*side{w.real, w.ours} {
		for {
			a, err := s.kv.Range(ctx, &pb.RangeRequest{Key: []byte("o/a")})
			if err != nil {
				servers.Fatal(err)
			}
			if len(a.Kvs) == 0 {
				w.follow(a)
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
}

func number(variable string, otherwise int64) int64 {
	if n, err := strconv.ParseInt(os.Getenv(variable), 10, 64); err == nil {
		return n
	}
	return otherwise
}

func main() {
	operations := int64(4000)
	if os.Getenv("SWITCHBOARD_CONFORMANCE_FULL") != "" {
		operations = 100_000
	}
	seed := number("SWITCHBOARD_ORACLE_SEED", time.Now().UnixNano())
	operations = number("SWITCHBOARD_ORACLE_OPERATIONS", operations)
	fmt.Println("seed", seed)
	w := &world{r: rand.New(rand.NewSource(seed)), leases: map[int64]bool{}, watching: map[int64]*pb.WatchCreateRequest{}, asked: map[int64]string{}}
	w.real = &side{process: servers.Real(), told: map[int64][]string{}}
	w.ours = &side{process: servers.Ours(), told: map[int64][]string{}}
	for _, s := range []*side{w.real, w.ours} {
		s.process.Start()
		s.open()
	}
	failed := w.run(seed, operations)
	w.real.process.End()
	w.ours.process.End()
	if failed {
		os.Exit(1)
	}
}

func (w *world) run(seed, operations int64) bool {
	ctx := context.Background()
	a, err := w.ours.kv.Range(ctx, &pb.RangeRequest{Key: []byte("o/")})
	if err != nil {
		servers.Fatal(err)
	}
	// Other protocols may have written before us.
	for w.revision = 1; w.revision < a.Header.Revision; {
		w.padReal(ctx)
	}
	w.compacted = w.revision
	failed, done, restarts := 0, 0, 0
	// A few in every run, however long it is.
	rarely := max(operations/4, 1)
	for i := int64(1); i <= operations && failed < 10; i++ {
		if i%rarely == rarely/2 {
			w.restart()
			w.expire()
			restarts++
		}
		if i%1000 == 0 {
			if _, difference := w.told(); difference != "" {
				fmt.Printf("not ok - oracle seed %d before operation %d: %s\n", seed, i, difference)
				return true
			}
		}
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
	if failed > 0 {
		return true
	}
	told, difference := w.told()
	if difference != "" {
		fmt.Printf("not ok - oracle seed %d %s\n", seed, difference)
		return true
	}
	fmt.Printf("ok - oracle: %d operations, %d restarts, and %d lines told to %d watchers are as a real etcd's\n", done, restarts, told, w.lastWatch)
	return false
}
