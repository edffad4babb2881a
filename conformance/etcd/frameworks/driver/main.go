// Registries of Go's frameworks, unmodified: go-zero's, Kitex's and go-micro's, each with its own ways of coming back when its lease
// is gone or its server was killed.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/cloudwego/kitex/pkg/klog"
	kitex "github.com/cloudwego/kitex/pkg/registry"
	micro "github.com/go-micro/plugins/v4/registry/etcd"
	kitexetcd "github.com/kitex-contrib/registry-etcd"
	"github.com/kitex-contrib/registry-etcd/retry"
	"github.com/zeromicro/go-zero/core/discov"
	"github.com/zeromicro/go-zero/core/logx"
	microlog "go-micro.dev/v4/logger"
	"go-micro.dev/v4/registry"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

const service = "frameworks"

// How one of them is used: `register` returns what takes the address out again.
type framework struct {
	name     string
	register func(place, address string) (func() error, error)
	found    func(place string) (func() ([]string, error), error)
}

func zero() framework {
	return framework{
		name: "go-zero",
		register: func(place, address string) (func() error, error) {
			publisher := discov.NewPublisher([]string{place}, service, address)
			return func() error { publisher.Stop(); return nil }, publisher.KeepAlive()
		},
		found: func(place string) (func() ([]string, error), error) {
			// What it knows its watch has told it.
			subscriber, err := discov.NewSubscriber([]string{place}, service)
			return func() ([]string, error) { return subscriber.Values(), nil }, err
		},
	}
}

func kitexes() framework {
	info := func(address string) *kitex.Info {
		addr, _ := net.ResolveTCPAddr("tcp", address)
		return &kitex.Info{ServiceName: service, Addr: addr, Weight: 10, Tags: map[string]string{"zone": "a"}}
	}
	return framework{
		name: "Kitex",
		register: func(place, address string) (func() error, error) {
			quick := retry.NewRetryConfig(retry.WithObserveDelay(time.Second), retry.WithRetryDelay(time.Second))
			it, err := kitexetcd.NewEtcdRegistryWithRetry([]string{place}, quick)
			if err != nil {
				return nil, err
			}
			return func() error { return it.Deregister(info(address)) }, it.Register(info(address))
		},
		found: func(place string) (func() ([]string, error), error) {
			resolver, err := kitexetcd.NewEtcdResolver([]string{place})
			return func() ([]string, error) {
				result, err := resolver.Resolve(context.Background(), service)
				if err != nil && strings.HasPrefix(err.Error(), "no instance remains") {
					return nil, nil
				}
				var found []string
				for _, instance := range result.Instances {
					found = append(found, instance.Address().String())
				}
				return found, err
			}, err
		},
	}
}

func micros() framework {
	logger := microlog.NewLogger(microlog.WithLevel(microlog.FatalLevel))
	quiet := zap.NewProductionConfig()
	quiet.OutputPaths = []string{"/dev/null"}
	client := func(place string) registry.Registry {
		return micro.NewRegistry(registry.Addrs(place), registry.Logger(logger), micro.LogConfig(&quiet))
	}
	of := func(address string) *registry.Service {
		return &registry.Service{Name: service, Version: "1", Nodes: []*registry.Node{{Id: address, Address: address}}}
	}
	return framework{
		name: "go-micro",
		register: func(place, address string) (func() error, error) {
			it, done := client(place), make(chan struct{})
			// Its servers register again and again, which renews the lease.
			go func() {
				for {
					select {
					case <-done:
						return
					case <-time.After(time.Second):
						it.Register(of(address), registry.RegisterTTL(5*time.Second))
					}
				}
			}()
			leave := func() error { close(done); return it.Deregister(of(address)) }
			return leave, it.Register(of(address), registry.RegisterTTL(5*time.Second))
		},
		found: func(place string) (func() ([]string, error), error) {
			it := client(place)
			return func() ([]string, error) {
				services, err := it.GetService(service)
				if errors.Is(err, registry.ErrNotFound) {
					return nil, nil
				}
				var found []string
				for _, one := range services {
					for _, node := range one.Nodes {
						found = append(found, node.Address)
					}
				}
				return found, err
			}, nil
		},
	}
}

// Waits until exactly these are found.
func until(ctx context.Context, found func() ([]string, error), wanted ...string) error {
	for {
		last, err := found()
		slices.Sort(last)
		if err == nil && slices.Equal(last, wanted) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("expected %v, found %v, %v", wanted, last, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func life(ctx context.Context, it framework) error {
	server, err := started()
	if err != nil {
		return err
	}
	defer server.remove()
	found, err := it.found(server.place)
	if err != nil {
		return err
	}
	leave, err := it.register(server.place, "10.0.0.1:8080")
	if err != nil {
		return err
	}
	stay, err := it.register(server.place, "10.0.0.2:8080")
	if err != nil {
		return err
	}
	if err := until(ctx, found, "10.0.0.1:8080", "10.0.0.2:8080"); err != nil {
		return err
	}
	if err := leave(); err != nil {
		return fmt.Errorf("it cannot leave: %w", err)
	}
	if err := until(ctx, found, "10.0.0.2:8080"); err != nil {
		return fmt.Errorf("after one has left: %w", err)
	}
	server.kill()
	if err := server.start(); err != nil {
		return err
	}
	if err := until(ctx, found, "10.0.0.2:8080"); err != nil {
		return fmt.Errorf("after a restart: %w", err)
	}
	// Who comes now is told by a watch that had to be begun anew.
	late, err := it.register(server.place, "10.0.0.3:8080")
	if err != nil {
		return fmt.Errorf("after a restart: %w", err)
	}
	if err := until(ctx, found, "10.0.0.2:8080", "10.0.0.3:8080"); err != nil {
		return fmt.Errorf("after a restart: %w", err)
	}
	if err := revoke(ctx, server.place); err != nil {
		return err
	}
	if err := until(ctx, found, "10.0.0.2:8080", "10.0.0.3:8080"); err != nil {
		return fmt.Errorf("after their leases were taken: %w", err)
	}
	if err := errors.Join(late(), stay()); err != nil {
		return err
	}
	return until(ctx, found)
}

// Takes every lease there is.
func revoke(ctx context.Context, place string) error {
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{place}, Logger: zap.NewNop()})
	if err != nil {
		return err
	}
	defer client.Close()
	all, err := client.Leases(ctx)
	if err != nil {
		return err
	}
	for _, lease := range all.Leases {
		if _, err := client.Revoke(ctx, clientv3.LeaseID(lease.ID)); err != nil {
			return err
		}
	}
	return nil
}

func main() {
	// Their clients complain there of what is done to them on purpose.
	os.Stderr, _ = os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	logx.Disable()
	klog.SetLevel(klog.LevelFatal)
	good := true
	for _, it := range []framework{zero(), kitexes(), micros()} {
		name := it.name + ": register, look up, leave, outlive a killed server and lost leases"
		ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
		if err := life(ctx, it); err != nil {
			good = false
			fmt.Printf("not ok - %s: %v\n", name, err)
		} else {
			fmt.Println("ok -", name)
		}
		cancel()
	}
	if !good {
		os.Exit(1)
	}
}
