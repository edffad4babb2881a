// The article's Go program: a service registers itself with consul/api, another one finds it and watches it.
package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/consul/api/watch"
)

const (
	name = "user-service"
	// Far longer than anything here takes, on any machine.
	patience = 60 * time.Second
)

var (
	address = strings.TrimPrefix(os.Getenv("SWITCHBOARD_CONSUL_URL"), "http://")
	client  *api.Client
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

func equal(what string, found, expected any) error {
	if fmt.Sprint(found) != fmt.Sprint(expected) {
		return fmt.Errorf("%s: expected %v, found %v", what, expected, found)
	}
	return nil
}

func connect() (err error) {
	config := api.DefaultConfig()
	config.Address = address
	client, err = api.NewClient(config)
	return err
}

func register(id string, port int, health string) error {
	return client.Agent().ServiceRegister(&api.AgentServiceRegistration{
		ID:      id,
		Name:    name,
		Tags:    []string{"v1"},
		Address: "127.0.0.1",
		Port:    port,
		Check:   &api.AgentServiceCheck{HTTP: health, Interval: "10s", Timeout: "5s"},
	})
}

func registered() error {
	if err := register("user-service-1", 8080, "http://127.0.0.1:8080/health"); err != nil {
		return err
	}
	entries, meta, err := client.Health().Service(name, "", false, nil)
	if err != nil {
		return err
	}
	if len(entries) != 1 || meta.LastIndex == 0 || !meta.KnownLeader {
		return fmt.Errorf("found %v with %+v", entries, meta)
	}
	service := entries[0].Service
	if err := equal("place", fmt.Sprint(service.Address, ":", service.Port), "127.0.0.1:8080"); err != nil {
		return err
	}
	checks, err := client.Agent().Checks()
	if err != nil {
		return err
	}
	own := checks["service:user-service-1"]
	if own == nil {
		return fmt.Errorf("its check is not among %v", checks)
	}
	return equal("its check", own.Type+" "+own.Status, "http critical")
}

// lookUp gives the places of those that pass.
func lookUp(index uint64) ([]string, uint64, error) {
	options := &api.QueryOptions{WaitIndex: index, WaitTime: 10 * time.Second}
	entries, meta, err := client.Health().Service(name, "v1", true, options)
	if err != nil {
		return nil, 0, err
	}
	places := []string{}
	for _, entry := range entries {
		places = append(places, fmt.Sprintf("%s:%d", entry.Service.Address, entry.Service.Port))
	}
	return places, meta.LastIndex, nil
}

// passes waits with blocking queries until its check has found it well.
func passes() error {
	service := httptest.NewServer(http.HandlerFunc(func(answer http.ResponseWriter, _ *http.Request) {
		answer.WriteHeader(http.StatusOK)
	}))
	defer service.Close()
	if err := register("user-service-1", 8080, service.URL+"/health"); err != nil {
		return err
	}
	var index uint64
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		places, newest, err := lookUp(index)
		if err != nil {
			return err
		}
		if len(places) > 0 {
			return equal("who passes", places, []string{"127.0.0.1:8080"})
		}
		index = newest
	}
	return fmt.Errorf("its check never passed")
}

// watched follows the service with a plan of Consul's own library.
func watched() error {
	plan, err := watch.Parse(map[string]any{"type": "service", "service": name})
	if err != nil {
		return err
	}
	seen := make(chan int, 16)
	plan.Handler = func(_ uint64, result any) { seen <- len(result.([]*api.ServiceEntry)) }
	ended := make(chan error, 1)
	go func() { ended <- plan.RunWithClientAndHclog(client, nil) }()
	defer plan.Stop()
	if err := await(seen, ended, 1); err != nil {
		return err
	}
	if err := register("user-service-2", 8081, "http://127.0.0.1:8081/health"); err != nil {
		return err
	}
	if err := await(seen, ended, 2); err != nil {
		return err
	}
	if err := client.Agent().ServiceDeregister("user-service-2"); err != nil {
		return err
	}
	return await(seen, ended, 1)
}

// await reads what the plan saw until it saw so many; what a check does in between may be seen, too.
func await(seen <-chan int, ended <-chan error, count int) error {
	limit := time.After(patience)
	for {
		select {
		case found := <-seen:
			if found == count {
				return nil
			}
		case err := <-ended:
			return fmt.Errorf("the watch ended: %v", err)
		case <-limit:
			return fmt.Errorf("%d instances were never seen", count)
		}
	}
}

func deregistered() error {
	if err := client.Agent().ServiceDeregister("user-service-1"); err != nil {
		return err
	}
	services, err := client.Agent().Services()
	if err != nil {
		return err
	}
	if err := equal("services of the agent", len(services), 0); err != nil {
		return err
	}
	err = client.Agent().ServiceDeregister("user-service-1")
	if err == nil || !strings.Contains(err.Error(), `Unknown service ID "user-service-1"`) {
		return fmt.Errorf("deregistering it again: %v", err)
	}
	return nil
}

func main() {
	check("a client", connect)
	check("ServiceRegister with a check every 10 s that may take 5 s", registered)
	check("a look-up finds it as soon as its check passes", passes)
	check("a watch sees one come and go", watched)
	check("ServiceDeregister", deregistered)
	if failed {
		os.Exit(1)
	}
}
