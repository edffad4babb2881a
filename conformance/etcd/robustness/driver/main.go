// The traffic and the checks of etcd's own robustness tests, v3.7.3: clients that are recorded read and write while the server is killed,
// and what they saw must be linearizable, and each watch what was written.
//
// Those checks want etcd's log of requests. Here it is made of a watch of everything, which is checked like any other.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"go.etcd.io/etcd/tests/v3/robustness/client"
	"go.etcd.io/etcd/tests/v3/robustness/identity"
	"go.etcd.io/etcd/tests/v3/robustness/report"
	"go.etcd.io/etcd/tests/v3/robustness/traffic"
	"go.etcd.io/etcd/tests/v3/robustness/validate"

	"switchboard/conformance/etcd/servers"
)

// What the tests of etcd's that run for days use, but for a rate that a development build keeps up with.
var (
	keyValue = traffic.KeyValue{
		MinimalQPS: 100, MaximalQPS: 300, BurstableQPS: 300, MemberClientCount: 4, ClusterClientCount: 1,
		MaxNonUniqueRequestConcurrency: 3,
	}
	traffics = []struct {
		name string
		of   traffic.Traffic
	}{
		{"puts, deletes and leases", traffic.EtcdPutDeleteLease},
		{"what Kubernetes asks", traffic.Kubernetes},
		{"puts and deletes of few keys", traffic.EtcdDelete},
	}
	failures int
)

func main() {
	seconds := 8 * time.Second
	if os.Getenv("SWITCHBOARD_CONFORMANCE_FULL") != "" {
		seconds = time.Minute
	}
	for _, kills := range []int{0, 2} {
		for _, one := range traffics {
			name := one.name
			if kills > 0 {
				name = fmt.Sprintf("%s, killed %d times", name, kills)
			}
			history, err := record(one.of, seconds, kills)
			if err != nil {
				say(name, err)
				continue
			}
			calls, events := history.counts()
			say(fmt.Sprintf("%s: %d calls, %d events, %d of them written", name, calls, events, len(history.log)),
				judge(history, one.of, os.Stderr))
			if kills == 0 {
				plant(name, history, one.of)
			}
		}
	}
	planted()
	if failures > 0 {
		os.Exit(1)
	}
}

func say(name string, err error) {
	if err != nil {
		failures++
		fmt.Printf("not ok - %s: %v\n", name, err)
		return
	}
	fmt.Println("ok -", name)
}

func judge(h *history, of traffic.Traffic, out io.Writer) error {
	reports, persisted := h.numbered()
	config := validate.Config{ExpectRevisionUnique: of.ExpectUniqueRevision()}
	result := validate.ValidateAndReturnVisualize(logger(out), config, reports, persisted, 2*time.Minute)
	if result.Watch.Status == validate.Unknown && result.Error() == nil {
		return fmt.Errorf("the watches were not looked at")
	}
	return result.Error()
}

func logger(out io.Writer) *zap.Logger {
	encoder := zapcore.NewConsoleEncoder(zap.NewProductionEncoderConfig())
	return zap.New(zapcore.NewCore(encoder, zapcore.AddSync(out), zapcore.ErrorLevel))
}

// record runs the traffic against a server of its own.
func record(of traffic.Traffic, during time.Duration, kills int) (*history, error) {
	ctx, server := context.Background(), servers.Ours()
	server.Start()
	defer server.End()
	hosts, began, ids := []string{server.Endpoint}, time.Now(), identity.NewIDProvider()
	set, watches := client.NewSet(ids, began), client.NewSet(ids, began)
	defer set.Close()
	defer watches.Close()
	if err := traffic.CheckEmptyDatabaseAtStart(ctx, zap.NewNop(), hosts, set); err != nil {
		return nil, err
	}
	log, err := follow(server.Endpoint)
	if err != nil {
		return nil, err
	}
	defer log.close()
	newest := make(chan int64, 1)
	group := errgroup.Group{}
	group.Go(func() error {
		defer close(newest)
		finish := make(chan struct{})
		wait, err := start(ctx, of, hosts, set, finish)
		if err != nil {
			return err
		}
		for range kills {
			time.Sleep(during / time.Duration(kills+1))
			server.Kill()
			server.Start()
		}
		time.Sleep(during / time.Duration(kills+1))
		close(finish)
		wait.Wait()
		// The checks want the last call to be answered.
		last, err := set.NewClient(hosts)
		if err != nil {
			return err
		}
		defer last.Close()
		if _, err := last.Put(ctx, "tombstone", "true"); err != nil {
			return err
		}
		newest <- report.OperationsMaxRevision(set.Reports())
		return nil
	})
	group.Go(func() error {
		return client.CollectClusterWatchEvents(ctx, client.CollectClusterWatchEventsParam{
			Lg: zap.NewNop(), Endpoints: hosts, MaxRevisionChan: newest, ClientSet: watches,
		})
	})
	if err := group.Wait(); err != nil {
		return nil, err
	}
	reports := slices.Concat(set.Reports(), watches.Reports())
	events, err := log.through(report.OperationsMaxRevision(reports))
	return &history{reports: reports, log: events}, err
}

func start(ctx context.Context, of traffic.Traffic, hosts []string, set *client.ClientSet, finish <-chan struct{}) (*sync.WaitGroup, error) {
	var wait sync.WaitGroup
	limiter := rate.NewLimiter(rate.Limit(keyValue.MaximalQPS), keyValue.BurstableQPS)
	keys, storage := traffic.NewKeyStore(10, "key"), traffic.NewKubernetesStorage()
	err := traffic.SimulateKeyValueTraffic(ctx, &wait, &keyValue, hosts, set, of, traffic.RunTrafficLoopParam{
		QPSLimiter: limiter, IDs: set.IdentityProvider(), LeaseIDStorage: identity.NewLeaseIDStorage(),
		NonUniqueRequestConcurrencyLimiter: traffic.NewConcurrencyLimiter(keyValue.MaxNonUniqueRequestConcurrency),
		KeyStore:                           keys, Storage: storage, Finish: finish,
	})
	if err != nil {
		return nil, err
	}
	err = traffic.SimulateWatchTraffic(ctx, &wait, &traffic.WatchDefault, hosts, set, of, traffic.RunWatchLoopParam{
		Config: traffic.WatchDefault, QPSLimiter: limiter, KeyStore: keys, Storage: storage, Finish: finish, Logger: zap.NewNop(),
	})
	if err != nil {
		return nil, err
	}
	return &wait, traffic.SimulateCompactionTraffic(ctx, &wait, &traffic.CompactionDefault, hosts, set, of, traffic.RunCompactLoopParam{
		Period: traffic.CompactionDefault.Period, Finish: finish,
	})
}
