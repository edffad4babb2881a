// Prometheus' own discovery by Consul, unmodified: what it would scrape, as services come and go.
package main

import (
	"context"
	"fmt"
	"os"
	"sort"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/discovery/consul"
	"github.com/prometheus/prometheus/discovery/targetgroup"
)

// Far longer than anything here takes, on any machine.
const patience = 60 * time.Second

var (
	address = strings.TrimPrefix(os.Getenv("SWITCHBOARD_CONSUL_URL"), "http://")
	failed  = false
)

func check(name string, run func() error) {
	if err := run(); err != nil {
		failed = true
		fmt.Printf("not ok - %s: %s\n", name, strings.ReplaceAll(err.Error(), "\n", " "))
		return
	}
	fmt.Printf("ok - %s\n", name)
}

// seen is what Prometheus knows, by the source of its groups.
type seen struct {
	updates chan []*targetgroup.Group
	groups  map[string]*targetgroup.Group
}

func discover(ctx context.Context, change func(*consul.SDConfig)) (*seen, error) {
	config := consul.DefaultSDConfig
	config.Server = address
	config.RefreshInterval = model.Duration(time.Second)
	change(&config)
	discovery, err := consul.NewDiscovery(&config, nil)
	if err != nil {
		return nil, err
	}
	found := &seen{make(chan []*targetgroup.Group), map[string]*targetgroup.Group{}}
	go discovery.Run(ctx, found.updates)
	return found, nil
}

// lines are the targets of a service with the labels that matter to whoever writes rules.
func (s *seen) lines(service string) []string {
	lines := []string{}
	for _, group := range s.groups {
		if string(group.Labels["__meta_consul_service"]) != service {
			continue
		}
		for _, target := range group.Targets {
			all := group.Labels.Merge(target)
			line := []string{}
			for _, name := range []string{
				"__address__", "__meta_consul_service_id", "__meta_consul_dc", "__meta_consul_tags",
				"__meta_consul_health", "__meta_consul_service_metadata_zone",
			} {
				line = append(line, string(all[model.LabelName(name)]))
			}
			lines = append(lines, strings.Join(line, " "))
		}
	}
	sort.Strings(lines)
	return lines
}

func (s *seen) until(service string, expected ...string) error {
	limit := time.After(patience)
	for {
		if found := s.lines(service); strings.Join(found, "\n") == strings.Join(expected, "\n") {
			return nil
		}
		select {
		case groups := <-s.updates:
			for _, group := range groups {
				s.groups[group.Source] = group
			}
		case <-limit:
			return fmt.Errorf("expected %q, found %q", expected, s.lines(service))
		}
	}
}

func register(agent *api.Agent, id, tag, ttl string) error {
	service := &api.AgentServiceRegistration{
		ID: id, Name: "web", Address: "10.0.0.1", Port: 9100, Tags: []string{tag}, Meta: map[string]string{"zone": "a"},
	}
	if ttl != "" {
		service.Check = &api.AgentServiceCheck{TTL: ttl}
	}
	return agent.ServiceRegister(service)
}

func all() error {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	client, err := api.NewClient(&api.Config{Address: address})
	if err != nil {
		return err
	}
	found, err := discover(ctx, func(*consul.SDConfig) {})
	if err != nil {
		return err
	}
	agent := client.Agent()
	steps := []struct {
		do       func() error
		expected []string
	}{
		{func() error { return register(agent, "a", "v1", "") }, []string{"10.0.0.1:9100 a dc1 ,v1, passing a"}},
		{func() error { return register(agent, "b", "v2", "1h") }, []string{
			"10.0.0.1:9100 a dc1 ,v1, passing a", "10.0.0.1:9100 b dc1 ,v2, critical a",
		}},
		{func() error { return agent.PassTTL("service:b", "") }, []string{
			"10.0.0.1:9100 a dc1 ,v1, passing a", "10.0.0.1:9100 b dc1 ,v2, passing a",
		}},
		{func() error { return agent.ServiceDeregister("a") }, []string{"10.0.0.1:9100 b dc1 ,v2, passing a"}},
		{func() error { return agent.ServiceDeregister("b") }, nil},
	}
	for _, step := range steps {
		if err := step.do(); err != nil {
			return err
		}
		if err := found.until("web", step.expected...); err != nil {
			return err
		}
	}
	return nil
}

func chosen() error {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	client, err := api.NewClient(&api.Config{Address: address})
	if err != nil {
		return err
	}
	found, err := discover(ctx, func(config *consul.SDConfig) {
		config.Services = []string{"web"}
		config.ServiceTags = []string{"v2"}
	})
	if err != nil {
		return err
	}
	for id, tag := range map[string]string{"a": "v1", "b": "v2"} {
		if err := register(client.Agent(), id, tag, ""); err != nil {
			return err
		}
	}
	return found.until("web", "10.0.0.1:9100 b dc1 ,v2, passing a")
}

func main() {
	check("all services, as they come, change and go", all)
	check("one service by its tag", chosen)
	if failed {
		os.Exit(1)
	}
}
