package integration

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap/zaptest"
	"google.golang.org/grpc"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/client/pkg/v3/testutil"
	"go.etcd.io/etcd/client/pkg/v3/transport"
	"go.etcd.io/etcd/client/pkg/v3/types"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/pkg/v3/grpctesting"
	"go.etcd.io/etcd/server/v3/config"
	"go.etcd.io/etcd/server/v3/etcdserver"
	"go.etcd.io/etcd/server/v3/storage/backend"
	framecfg "go.etcd.io/etcd/tests/v3/framework/config"
	"go.etcd.io/etcd/tests/v3/framework/testutils"
)

// Member is a door to the process.
type Member struct {
	config.ServerConfig
	DialOptions   []grpc.DialOption
	GRPCURL       string
	Client        *clientv3.Client
	ServerClient  *clientv3.Client
	Server        *Inside
	PeerListeners []net.Listener
	LogObserver   *testutils.LogObserver
	IsLearner     bool
	// ClientTLSInfo may be changed between two clients.
	ClientTLSInfo        *transport.TLSInfo
	KeepDataDirTerminate bool

	of      *ClusterConfig
	process *process
	bridge  *bridge
	plain   *bridge
	isOpen  bool
}

var addresses atomic.Int32

// A socket in the test's own folder, or a port.
func uniqueAddress() string {
	return fmt.Sprintf("127.0.0.1:%05d%05d", 21000+addresses.Add(1), os.Getpid())
}

func NewLocalListener(t testutil.TB) net.Listener {
	l, err := transport.NewUnixListener(uniqueAddress())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func newMember(t testutil.TB, p *process, of *ClusterConfig, i int) *Member {
	m := &Member{process: p, of: of, ClientTLSInfo: of.ClientTLS}
	m.Server = &Inside{m}
	m.Name, m.DataDir = fmt.Sprintf("m%d", i), p.data
	m.ElectionTicks, m.TickMs = ElectionTicks, uint(framecfg.TickDuration/time.Millisecond)
	m.MaxRequestBytes, m.MaxTxnOps = 1.5*1024*1024, 128
	if of.MaxRequestBytes != 0 {
		m.MaxRequestBytes = of.MaxRequestBytes
	}
	m.SnapshotCount, m.CorruptCheckTime = of.SnapshotCount, of.CorruptCheckTime
	tb, ok := t.(zaptest.TestingT)
	if !ok {
		tb = quiet{t}
	}
	m.Logger = zaptest.NewLogger(tb).Named(m.Name)
	scheme := "unix"
	if of.ClientTLS != nil {
		scheme = "unixs"
	}
	m.ClientURLs = types.MustNewURLs([]string{scheme + "://" + uniqueAddress()})
	m.PeerURLs = types.MustNewURLs([]string{"unix://" + uniqueAddress()})
	return m
}

// quiet is for clusters that several tests share.
type quiet struct{ testutil.TB }

func (quiet) Logf(string, ...any) {}

// Launch opens the door.
func (m *Member) Launch() error {
	host := "localhost"
	if m.of.UseIP {
		host = "127.0.0.1"
	}
	listener, err := m.listen(host)
	if err != nil {
		return err
	}
	m.bridge = newBridge(dialer(m.process.address), listener)
	plain, err := transport.NewUnixListener(m.ClientURLs[0].Host)
	if err != nil {
		return err
	}
	m.plain = newBridge(dialer(m.process.address), plain)
	m.process.doors.Add(1)
	m.isOpen = true
	if m.Client == nil {
		m.Client, err = NewClientV3(m)
	}
	return err
}

func (m *Member) listen(host string) (net.Listener, error) {
	secure := m.of.ClientTLS != nil
	if !m.of.UseTCP {
		scheme := map[bool]string{false: "unix", true: "unixs"}[secure]
		// A certificate's name has to come first.
		name := host + ":" + m.Name
		if m.of.UseBridge {
			name += "0"
		}
		m.GRPCURL = scheme + "://" + name
		return transport.NewUnixListener(name)
	}
	port := "0"
	if _, taken, ok := strings.Cut(strings.TrimPrefix(m.GRPCURL, "http"), host+":"); ok {
		port = taken
	}
	l, err := net.Listen("tcp", net.JoinHostPort(host, port))
	if err != nil {
		return nil, err
	}
	scheme := map[bool]string{false: "http", true: "https"}[secure]
	m.GRPCURL = fmt.Sprintf("%s://%s:%d", scheme, host, l.Addr().(*net.TCPAddr).Port)
	return l, nil
}

type dialer string

func (d dialer) Dial() (net.Conn, error) { return net.Dial("tcp", string(d)) }

// Close shuts the door, and ends the process with the last one.
func (m *Member) Close() {
	if !m.isOpen {
		return
	}
	m.isOpen = false
	if m.ServerClient != nil {
		m.ServerClient.Close()
		m.ServerClient = nil
	}
	if m.process.doors.Add(-1) == 0 {
		m.process.stop()
	}
	m.bridge.Close()
	m.plain.Close()
}

func (m *Member) Stop(testutil.TB) { m.Close() }

func (m *Member) Terminate(testutil.TB) { m.Close() }

// Restart opens the door again, and starts the process with the first one.
func (m *Member) Restart(t testutil.TB) error {
	if m.process.doors.Load() == 0 {
		m.process.start(t)
	}
	return m.Launch()
}

func (m *Member) Clone(t testutil.TB) *Member {
	leaveOut(t, "it makes a member without a cluster")
	return nil
}

func (m *Member) Bridge() Bridge {
	if !m.of.UseBridge {
		m.process.t.Fatal("the cluster was made without bridges")
	}
	return m.bridge
}

func (m *Member) URL() string { return m.ClientURLs[0].String() }

func (m *Member) GRPCPortNumber() string { return m.GRPCURL[strings.LastIndexByte(m.GRPCURL, ':')+1:] }

// ID is the same for all members.
func (m *Member) ID() types.ID { return m.Server.MemberID() }

func (m *Member) ElectionTimeout() time.Duration {
	return time.Duration(ElectionTicks) * framecfg.TickDuration
}

func (m *Member) WaitStarted(t testutil.TB) { WaitClientV3(t, m.Client) }

func (m *Member) WaitOK(t testutil.TB) { WaitClientV3(t, m.Client) }

func (m *Member) RecordedRequests() []grpctesting.RequestInfo {
	leaveOut(m.process.t, "it looks at what a member received")
	return nil
}

func (m *Member) Pause() { leaveOut(m.process.t, "it cuts a member off from the others") }

func (m *Member) Resume() { leaveOut(m.process.t, "it cuts a member off from the others") }

func (m *Member) InjectPartition(t testutil.TB, _ ...*Member) {
	leaveOut(t, "it cuts a member off from the others")
}

func (m *Member) RecoverPartition(t testutil.TB, _ ...*Member) {
	leaveOut(t, "it cuts a member off from the others")
}

func (m *Member) StopNotify() <-chan struct{} { return m.Server.StopNotify() }

func (m *Member) ReadyNotify() <-chan struct{} { return m.Server.ReadyNotify() }

// Inside is what tests want to know of a member from within.
type Inside struct{ m *Member }

// MemberID is asked for over the wire.
func (s *Inside) MemberID() types.ID {
	ctx, cancel := context.WithTimeout(context.Background(), RequestTimeout)
	defer cancel()
	status, err := s.m.Client.Status(ctx, s.m.GRPCURL)
	if err != nil {
		s.m.process.t.Fatalf("status: %v", err)
	}
	return types.ID(status.Header.MemberId)
}

func (s *Inside) out() { leaveOut(s.m.process.t, "it looks into the process of a member") }

func (s *Inside) Alarm(context.Context, *pb.AlarmRequest) (*pb.AlarmResponse, error) {
	s.out()
	return nil, nil
}

func (s *Inside) Lead() uint64 {
	s.out()
	return 0
}

func (s *Inside) AppliedIndex() uint64 {
	s.out()
	return 0
}

func (s *Inside) Backend() backend.Backend {
	s.out()
	return nil
}

func (s *Inside) CorruptionChecker() etcdserver.CorruptionChecker {
	s.out()
	return nil
}

func (s *Inside) StopNotify() <-chan struct{} {
	s.out()
	return nil
}

func (s *Inside) ReadyNotify() <-chan struct{} {
	s.out()
	return nil
}

func (s *Inside) FirstCommitInTermNotify() <-chan struct{} {
	s.out()
	return nil
}

func (s *Inside) TryTransferLeadershipOnShutdown() error {
	s.out()
	return nil
}

func sample(text io.Reader, name string, labels []string) (string, error) {
	lines := bufio.NewScanner(text)
search:
	for lines.Scan() {
		line := lines.Text()
		if !strings.HasPrefix(line, name) {
			continue
		}
		for _, label := range labels {
			if !strings.Contains(line, label) {
				continue search
			}
		}
		_, value, _ := strings.Cut(line, " ")
		return value, nil
	}
	return "", lines.Err()
}
