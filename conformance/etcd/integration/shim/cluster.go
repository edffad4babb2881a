// Package integration takes the place of the part of etcd's package of this name that starts members in the process of the tests.
//
// A cluster is one process. Each of its members is a door of its own to it, which can be closed, held up and opened
// again. Whatever asks for the inside of a member, or for members that differ, leaves the test out and says so.
package integration

import (
	"context"
	"fmt"
	"math/rand"
	"net/http"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/client/pkg/v3/testutil"
	"go.etcd.io/etcd/client/pkg/v3/transport"
	"go.etcd.io/etcd/client/pkg/v3/types"
	clientv3 "go.etcd.io/etcd/client/v3"
	epb "go.etcd.io/etcd/server/v3/etcdserver/api/v3election/v3electionpb"
	lockpb "go.etcd.io/etcd/server/v3/etcdserver/api/v3lock/v3lockpb"
	framecfg "go.etcd.io/etcd/tests/v3/framework/config"
	"go.etcd.io/etcd/tests/v3/framework/testutils"
)

const (
	RequestWaitTimeout = 5 * time.Second
	RequestTimeout     = 20 * time.Second
)

var (
	ElectionTicks = 10

	TestTLSInfo                  = pair("../fixtures/server", "../fixtures/ca.crt")
	TestTLSInfoIP                = pair("../fixtures/server-ip", "../fixtures/ca.crt")
	TestTLSInfoExpired           = pair("./fixtures-expired/server", "./fixtures-expired/ca.crt")
	TestTLSInfoExpiredIP         = pair("./fixtures-expired/server-ip", "./fixtures-expired/ca.crt")
	TestTLSInfoWithSpecificUsage = usages()

	DefaultTokenJWT = fmt.Sprintf("jwt,pub-key=%s,priv-key=%s,sign-method=RS256,ttl=2s", TestTLSInfo.CertFile, TestTLSInfo.KeyFile)
)

func pair(name, ca string) transport.TLSInfo {
	return transport.TLSInfo{
		KeyFile: testutils.MustAbsPath(name + ".key.insecure"), CertFile: testutils.MustAbsPath(name + ".crt"),
		TrustedCAFile: testutils.MustAbsPath(ca), ClientCertAuth: true,
	}
}

func usages() transport.TLSInfo {
	info, client := pair("../fixtures/server-serverusage", "../fixtures/ca.crt"), "../fixtures/client-clientusage"
	info.ClientKeyFile, info.ClientCertFile = testutils.MustAbsPath(client+".key.insecure"), testutils.MustAbsPath(client+".crt")
	return info
}

// ClusterConfig has the fields that the tests set.
type ClusterConfig struct {
	Size                        int
	PeerTLS, ClientTLS          *transport.TLSInfo
	AuthToken                   string
	QuotaBackendBytes           int64
	BackendBatchInterval        time.Duration
	MaxTxnOps, MaxRequestBytes  uint
	SnapshotCount               uint64
	SnapshotCatchUpEntries      uint64
	GRPCKeepAliveMinTime        time.Duration
	GRPCKeepAliveInterval       time.Duration
	GRPCKeepAliveTimeout        time.Duration
	GRPCAdditionalServerOptions []grpc.ServerOption
	ClientMaxCallSendMsgSize    int
	ClientMaxCallRecvMsgSize    int
	UseIP, UseBridge, UseTCP    bool
	EnableLeaseCheckpoint       bool
	LeaseCheckpointInterval     time.Duration
	LeaseCheckpointPersist      bool
	WatchProgressNotifyInterval time.Duration
	MaxLearners                 int
	DisableStrictReconfigCheck  bool
	CorruptCheckTime            time.Duration
	Metrics                     string
}

// Cluster is one process with as many doors as it has members.
type Cluster struct {
	Cfg     *ClusterConfig
	Members []*Member
	mu      sync.Mutex
	process *process
}

// NewCluster returns when clients can connect.
func NewCluster(t testutil.TB, cfg *ClusterConfig) *Cluster {
	t.Helper()
	assertInTestContext(t)
	c := &Cluster{Cfg: cfg, process: newProcess(t, cfg)}
	c.process.start(t)
	for i := 0; i < cfg.Size; i++ {
		m := newMember(t, c.process, cfg, i)
		if err := m.Launch(); err != nil {
			t.Fatalf("member %d: %v", i, err)
		}
		c.Members = append(c.Members, m)
	}
	// A port is open before all of a server's files are read.
	WaitClientV3(t, c.Members[0].Client)
	return c
}

func (c *Cluster) Terminate(testutil.TB) {
	c.process.kill()
	for _, m := range c.Members {
		if m.Client != nil {
			m.Client.Close()
		}
		m.Close()
	}
}

func (c *Cluster) TakeClient(i int) {
	c.mu.Lock()
	c.Members[i].Client = nil
	c.mu.Unlock()
}

func (c *Cluster) RandClient() *clientv3.Client { return c.Client(rand.Intn(len(c.Members))) }

func (c *Cluster) Client(i int) *clientv3.Client { return c.Members[i].Client }

func (c *Cluster) Endpoints() (found []string) {
	for _, m := range c.Members {
		found = append(found, m.GRPCURL)
	}
	return found
}

// WaitLeader waits for an answer: there is one process, which leads.
func (c *Cluster) WaitLeader(t testing.TB) int { return c.WaitMembersForLeader(t, c.Members) }

func (c *Cluster) WaitMembersForLeader(t testing.TB, members []*Member) int {
	client, err := c.ClusterClient(t)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	WaitClientV3(t, client)
	return 0
}

func (c *Cluster) ClusterClient(t testing.TB, options ...framecfg.ClientOption) (*clientv3.Client, error) {
	cfg, err := clientConfig(c.Cfg, c.Cfg.ClientTLS)
	if err != nil {
		return nil, err
	}
	cfg.Endpoints = c.Endpoints()
	for _, option := range options {
		option(cfg)
	}
	client, err := newClientV3(*cfg)
	if err == nil {
		t.Cleanup(func() { client.Close() })
	}
	return client, err
}

func clientConfig(of *ClusterConfig, secure *transport.TLSInfo) (*clientv3.Config, error) {
	cfg := &clientv3.Config{
		DialTimeout:        5 * time.Second,
		MaxCallSendMsgSize: of.ClientMaxCallSendMsgSize,
		MaxCallRecvMsgSize: of.ClientMaxCallRecvMsgSize,
	}
	if secure == nil {
		return cfg, nil
	}
	tls, err := secure.ClientConfig()
	cfg.TLS = tls
	return cfg, err
}

func WithAuth(name, password string) framecfg.ClientOption {
	return func(c any) { c.(*clientv3.Config).Username, c.(*clientv3.Config).Password = name, password }
}

func WithAuthToken(token string) framecfg.ClientOption {
	return func(c any) { c.(*clientv3.Config).Token = token }
}

func WithEndpoints(endpoints []string) framecfg.ClientOption {
	return func(c any) { c.(*clientv3.Config).Endpoints = endpoints }
}

func WithDialTimeout(timeout time.Duration) framecfg.ClientOption {
	return func(c any) { c.(*clientv3.Config).DialTimeout = timeout }
}

// NewClientV3 is connected to one member only.
func NewClientV3(m *Member) (*clientv3.Client, error) {
	cfg, err := clientConfig(m.of, m.ClientTLSInfo)
	if err != nil {
		return nil, err
	}
	cfg.Endpoints, cfg.DialOptions, cfg.Logger = []string{m.GRPCURL}, m.DialOptions, m.Logger.Named("client")
	return newClientV3(*cfg)
}

func (c *Cluster) NewClientV3(i int) (*clientv3.Client, error) { return NewClientV3(c.Members[i]) }

func makeClients(t testutil.TB, clients *[]*clientv3.Client, member func() *Member) func() *clientv3.Client {
	var mu sync.Mutex
	*clients = nil
	return func() *clientv3.Client {
		client, err := NewClientV3(member())
		if err != nil {
			t.Fatalf("no client: %v", err)
		}
		mu.Lock()
		defer mu.Unlock()
		*clients = append(*clients, client)
		return client
	}
}

func MakeSingleNodeClients(t testutil.TB, c *Cluster, clients *[]*clientv3.Client) func() *clientv3.Client {
	return makeClients(t, clients, func() *Member { return c.Members[0] })
}

func MakeMultiNodeClients(t testutil.TB, c *Cluster, clients *[]*clientv3.Client) func() *clientv3.Client {
	return makeClients(t, clients, func() *Member { return c.Members[rand.Intn(len(c.Members))] })
}

func CloseClients(t testutil.TB, clients []*clientv3.Client) {
	for _, client := range clients {
		if err := client.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func WaitClientV3(t testutil.TB, kv clientv3.KV) { WaitClientV3WithKey(t, kv, "/") }

func WaitClientV3WithKey(t testutil.TB, kv clientv3.KV, key string) {
	ctx, cancel := context.WithTimeout(context.Background(), RequestTimeout)
	defer cancel()
	for {
		_, err := kv.Get(ctx, key)
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("no answer: %v", err)
		}
		time.Sleep(framecfg.TickDuration)
	}
}

// Metric is the value of the first sample that begins so and has all of these labels.
func (m *Member) Metric(name string, labels ...string) (string, error) {
	tr, err := transport.NewTimeoutTransport(transport.TLSInfo{}, time.Second, time.Second, time.Second)
	if err != nil {
		return "", err
	}
	defer tr.CloseIdleConnections()
	answer, err := (&http.Client{Transport: tr}).Get(m.URL() + "/metrics")
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	return sample(answer.Body, name, labels)
}

// GRPCAPI is what generated code makes of a connection.
type GRPCAPI struct {
	Cluster     pb.ClusterClient
	KV          pb.KVClient
	Lease       pb.LeaseClient
	Watch       pb.WatchClient
	Maintenance pb.MaintenanceClient
	Auth        pb.AuthClient
	Lock        lockpb.LockClient
	Election    epb.ElectionClient
}

// The rest is about members that differ.

func (c *Cluster) AddMember(t testutil.TB) types.URLs {
	leaveOut(t, "it adds a member")
	return nil
}

func (c *Cluster) MustNewMember(t testutil.TB) *Member {
	leaveOut(t, "it adds a member")
	return nil
}

func (c *Cluster) AddAndLaunchLearnerMember(t testutil.TB) { leaveOut(t, "it adds a learner") }

func (c *Cluster) GetLearnerMembers() ([]*pb.Member, error) {
	return nil, fmt.Errorf("there are no learners")
}

func (c *Cluster) InitializeMemberWithResponse(t testutil.TB, m *Member, _ *clientv3.MemberAddResponse) {
	leaveOut(t, "it adds a member")
}

func (c *Cluster) RemoveMember(t testutil.TB, _ *clientv3.Client, _ uint64) error {
	leaveOut(t, "it removes a member")
	return nil
}

func (c *Cluster) WaitMembersMatch(t testutil.TB, _ []*pb.Member) {
	leaveOut(t, "it waits for members")
}

func (c *Cluster) ProtoMembers() []*pb.Member {
	leaveOut(c.process.t, "it lists members")
	return nil
}

func (c *Cluster) WaitNoLeader() { c.WaitMembersNoLeader(c.Members) }

func (c *Cluster) WaitMembersNoLeader([]*Member) {
	leaveOut(c.process.t, "it waits until nobody leads")
}

func (c *Cluster) AddMemberByURL(t testutil.TB, _ *clientv3.Client, _ string) error {
	leaveOut(t, "it adds a member")
	return nil
}

func (c *Cluster) Launch(t testutil.TB) { leaveOut(t, "it launches members by itself") }

func CheckLeaderTransition(m *Member, _ uint64) uint64 {
	leaveOut(m.process.t, "another member shall lead")
	return 0
}

// MustNewMember is for tests that make members without a cluster.
func MustNewMember(t testutil.TB, _ MemberConfig) *Member {
	leaveOut(t, "it makes a member without a cluster")
	return nil
}

// MemberConfig has the fields that the tests set.
type MemberConfig struct {
	Name              string
	UseBridge         bool
	MaxTxnOps         uint
	PeerTLS           *transport.TLSInfo
	QuotaBackendBytes int64
}

// leaveOut ends the test, with why.
func leaveOut(t testutil.TB, why string) {
	t.Skip("stand-in: " + why)
}
