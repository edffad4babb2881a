// The article's scenario in Go, with the standard library only, as a service written in Go would do it.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

const article = `{"service":"user-service","host":"192.168.1.100","port":8080,"metadata":{"version":"v1.2","region":"east"},"ttl":30}`

var (
	base   = os.Getenv("SWITCHBOARD_URL")
	failed = false
)

type instance struct {
	ID     string `json:"id"`
	Host   string `json:"host"`
	Port   int    `json:"port"`
	Health string `json:"health"`
}

type registered struct {
	Status   string  `json:"status"`
	ID       string  `json:"id"`
	Revision uint64  `json:"revision"`
	TTL      float64 `json:"ttl"`
	Renew    string  `json:"renew"`
}

type change struct {
	Revision uint64    `json:"revision"`
	Kind     string    `json:"kind"`
	ID       string    `json:"id"`
	Instance *instance `json:"instance"`
}

func check(name string, run func() error) {
	if err := run(); err != nil {
		failed = true
		fmt.Printf("not ok - %s: %s\n", name, strings.ReplaceAll(err.Error(), "\n", " "))
		return
	}
	fmt.Printf("ok - %s\n", name)
}

// call answers the status, with the body decoded into the given value where there is one.
func call(method, path, body string, into any) (int, error) {
	request, err := http.NewRequest(method, base+path, bytes.NewBufferString(body))
	if err != nil {
		return 0, err
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err
	}
	if into != nil && response.StatusCode < 300 {
		if err := json.Unmarshal(answer, into); err != nil {
			return response.StatusCode, fmt.Errorf("%s %s: %w in %q", method, path, err, answer)
		}
	}
	return response.StatusCode, nil
}

func mustCall(method, path, body string, into any) error {
	status, err := call(method, path, body, into)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("%s %s answered %d", method, path, status)
	}
	return err
}

func register(body string) (registered, error) {
	var said registered
	err := mustCall("POST", "/v1/register", body, &said)
	return said, err
}

func instances(service string) ([]instance, error) {
	var view struct {
		Instances []instance `json:"instances"`
	}
	err := mustCall("GET", "/v1/services/"+service, "", &view)
	return view.Instances, err
}

// changes reads from the watch until it has as many as asked for.
func changes(count int, since, lastEventID string) ([]change, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	path := base + "/v1/watch?service=watched-by-go"
	if since != "" {
		path += "&since=" + since
	}
	request, err := http.NewRequestWithContext(ctx, "GET", path, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "text/event-stream")
	if lastEventID != "" {
		request.Header.Set("Last-Event-ID", lastEventID)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if kind := response.Header.Get("Content-Type"); !strings.HasPrefix(kind, "text/event-stream") {
		return nil, fmt.Errorf("status %d, content type %q", response.StatusCode, kind)
	}
	var found []change
	event := ""
	for lines := bufio.NewScanner(response.Body); len(found) < count; {
		if !lines.Scan() {
			return found, fmt.Errorf("the stream ended after %d of %d changes: %v", len(found), count, lines.Err())
		}
		field, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case field == "event":
			event = value
		case field == "data" && event == "change":
			var next change
			if err := json.Unmarshal([]byte(value), &next); err != nil {
				return found, err
			}
			found = append(found, next)
		case lines.Text() == "":
			event = ""
		}
	}
	return found, nil
}

func lookUp() error {
	found, err := instances("user-service")
	if err != nil {
		return err
	}
	want := instance{ID: "user-service-192.168.1.100-8080", Host: "192.168.1.100", Port: 8080, Health: "passing"}
	if len(found) != 1 || found[0] != want {
		return fmt.Errorf("expected [%+v], found %+v", want, found)
	}
	return nil
}

func renew() error {
	said, err := register(`{"service": "leased-by-go", "host": "127.0.0.1", "port": 9, "ttl": 30}`)
	if err != nil {
		return err
	}
	return mustCall("PUT", said.Renew, "", &said)
}

func watch() (uint64, error) {
	before, err := register(`{"service": "other-of-go", "host": "127.0.0.1", "port": 1}`)
	if err != nil {
		return 0, err
	}
	first, err := register(`{"service": "watched-by-go", "host": "127.0.0.1", "port": 1}`)
	if err != nil {
		return 0, err
	}
	found, err := changes(1, strconv.FormatUint(before.Revision, 10), "")
	if err != nil {
		return 0, err
	}
	if found[0].Kind != "registered" || found[0].ID != first.ID || found[0].Instance == nil {
		return 0, fmt.Errorf("unexpected change %+v", found[0])
	}
	return found[0].Revision, nil
}

func resume(after uint64) error {
	second, err := register(`{"service": "watched-by-go", "host": "127.0.0.1", "port": 2}`)
	if err != nil {
		return err
	}
	if err := mustCall("DELETE", "/v1/instances/"+second.ID, "", nil); err != nil {
		return err
	}
	found, err := changes(2, "", strconv.FormatUint(after, 10))
	if err != nil {
		return err
	}
	if found[0].Kind != "registered" || found[1].Kind != "deregistered" || found[1].ID != second.ID {
		return fmt.Errorf("unexpected changes %+v", found)
	}
	return nil
}

func deregister() error {
	if err := mustCall("DELETE", "/v1/instances/user-service-192.168.1.100-8080", "", nil); err != nil {
		return err
	}
	found, err := instances("user-service")
	if err == nil && len(found) != 0 {
		err = fmt.Errorf("still there: %+v", found)
	}
	return err
}

func unknown() error {
	status, err := call("GET", "/v1/instances/nobody", "", nil)
	if err == nil && status != http.StatusNotFound {
		err = fmt.Errorf("answered %d", status)
	}
	return err
}

func main() {
	http.DefaultClient.Timeout = 20 * time.Second
	check("register the article's JSON", func() error {
		said, err := register(article)
		if err == nil && (said.Status != "success" || said.ID != "user-service-192.168.1.100-8080") {
			err = fmt.Errorf("unexpected answer %+v", said)
		}
		return err
	})
	check("look up", lookUp)
	check("renew", renew)
	var seen uint64
	check("watch", func() (err error) {
		seen, err = watch()
		return err
	})
	check("resume with Last-Event-ID", func() error { return resume(seen) })
	check("deregister", deregister)
	check("an unknown instance is not found", unknown)
	if failed {
		os.Exit(1)
	}
}
