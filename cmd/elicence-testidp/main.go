// Command elicence-testidp is the identity provider of the demo: it signs anybody in as one of
// some made-up people, without proof, and so listens on loopback and nowhere else. It is no
// part of the service; a provincial identity system takes its place.
//
// It prints "serving URL". Faults go to standard error with the prefix "elicence-testidp: ".
// Exit codes follow sysexits: 64 usage, 70 anything else.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"elicence/internal/listen"
	"elicence/internal/private"
	"elicence/internal/testidp"

	"github.com/alecthomas/kong"
)

// Exit codes.
const (
	exitUsage    = 64
	exitInternal = 70
)

type command struct {
	Listen     string   `help:"Loopback address to listen on." default:"127.0.0.1:9080"`
	People     string   `required:"" help:"File of the people, JSON: an array of objects with subject, name, about and, of citizens, id_number." type:"path"`
	Client     string   `help:"Client id of the service." default:"elicence"`
	SecretFile string   `required:"" help:"File that holds the service's client secret." type:"path"`
	Return     []string `required:"" sep:"none" placeholder:"URL" help:"Where the service has people sent back to; may be repeated."`
	WithParent bool     `help:"End when standard input does, as it does with the program that started this one."`
}

// Run serves until the context ends.
func (c *command) Run(ctx context.Context) error {
	listener, err := c.open()
	if err != nil {
		return err
	}
	defer listener.Close()
	issuer := "http://" + listener.Addr().String()
	handler, err := c.provider(issuer)
	if err != nil {
		return err
	}
	server := testidp.Server(handler)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	fmt.Printf("serving %s\n", issuer)
	if c.WithParent {
		var stop context.CancelFunc
		ctx, stop = context.WithCancel(ctx)
		go func() { io.Copy(io.Discard, os.Stdin); stop() }()
	}
	select {
	case <-ctx.Done():
	case err := <-served:
		return fmt.Errorf("serving: %w", err)
	}
	last, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return server.Shutdown(last)
}

// open listens on loopback, or not at all: neither TLS nor a proxy makes this a thing to show
// to others.
func (c *command) open() (net.Listener, error) {
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return nil, fmt.Errorf("%w: --listen %s is not host:port, as 127.0.0.1:9080", listen.ErrUsage, c.Listen)
	}
	if !listen.Loopback(host) {
		return nil, fmt.Errorf("%w: --listen %s is not loopback, and a provider that asks for no proof listens nowhere else", listen.ErrUsage, c.Listen)
	}
	listener, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return nil, err
	}
	if at, ok := listener.Addr().(*net.TCPAddr); !ok || !at.IP.IsLoopback() { // localhost is what /etc/hosts says
		listener.Close()
		return nil, fmt.Errorf("%w: --listen %s is %s, which is not loopback", listen.ErrUsage, c.Listen, listener.Addr())
	}
	return listener, nil
}

// provider reads the files.
func (c *command) provider(issuer string) (http.Handler, error) {
	secret, err := private.ReadFile(c.SecretFile)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(c.People)
	if err != nil {
		return nil, err
	}
	config := testidp.Config{Issuer: issuer, ClientID: c.Client, ClientSecret: strings.TrimSpace(string(secret)), Returns: c.Return}
	if err := json.Unmarshal(text, &config.People); err != nil {
		return nil, fmt.Errorf("%s: %w", c.People, err)
	}
	return testidp.New(config)
}

func main() {
	var c command
	parser, err := kong.New(&c, kong.Name("elicence-testidp"), kong.Description("The demo's identity provider, which asks for no proof."), kong.UsageOnError())
	if err != nil {
		fail(exitInternal, err)
	}
	if _, err := parser.Parse(os.Args[1:]); err != nil {
		fail(exitUsage, err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := c.Run(ctx); err != nil {
		code := exitInternal
		if errors.Is(err, listen.ErrUsage) {
			code = exitUsage
		}
		fail(code, err)
	}
}

// fail prints a fault and ends the process.
func fail(code int, err error) {
	fmt.Fprintf(os.Stderr, "elicence-testidp: %v\n", err)
	os.Exit(code)
}
