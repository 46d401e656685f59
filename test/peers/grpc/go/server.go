package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
)

func serve(args []string) {
	flags := flag.NewFlagSet("server", flag.ExitOnError)
	cert := flags.String("cert", "", "PEM chain: TLS instead of plain")
	key := flags.String("key", "", "its key")
	age := flags.Duration("age", 0, "connections get GOAWAY when they are this old")
	flags.Parse(args)

	options := []grpc.ServerOption{
		grpc.ForceServerCodec(codec{}),
		grpc.MaxRecvMsgSize(messageBytesMax),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: time.Millisecond, PermitWithoutStream: true}),
	}
	if *age > 0 {
		options = append(options, grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionAge: *age}))
	}
	if *cert != "" {
		tls, err := credentials.NewServerTLSFromFile(*cert, *key)
		if err != nil {
			fail(err)
		}
		options = append(options, grpc.Creds(tls))
	}
	server := grpc.NewServer(options...)
	server.RegisterService(&service, nil)
	checks := health.NewServer()
	grpc_health_v1.RegisterHealthServer(server, checks)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fail(err)
	}
	say(said{"event": "listening", "port": listener.Addr().(*net.TCPAddr).Port})
	go eachLine(func(line []byte) {
		switch string(line) {
		case "stop": // Gracefully: GOAWAY, then calls under way end.
			go func() {
				server.GracefulStop()
				say(said{"event": "stopped"})
			}()
		case "sick":
			checks.SetServingStatus("", grpc_health_v1.HealthCheckResponse_NOT_SERVING)
		case "well":
			checks.SetServingStatus("", grpc_health_v1.HealthCheckResponse_SERVING)
		}
	})
	if err := server.Serve(listener); err != nil {
		fail(err)
	}
	select {} // Until the standard input ends.
}

var service = grpc.ServiceDesc{
	ServiceName: "outboard.test.Peer",
	HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{{MethodName: "Unary", Handler: func(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		var message []byte
		if err := decode(&message); err != nil {
			return nil, err
		}
		set := setter{
			header:  func(m metadata.MD) error { return grpc.SendHeader(ctx, m) },
			trailer: func(m metadata.MD) { grpc.SetTrailer(ctx, m) },
		}
		return &message, answer(ctx, "Unary", set, func(*call) error { return nil })
	}}},
	Streams: []grpc.StreamDesc{
		{StreamName: "Produce", ServerStreams: true, Handler: streaming("Produce", produce)},
		{StreamName: "Collect", ClientStreams: true, Handler: streaming("Collect", collect)},
		{StreamName: "Chat", ServerStreams: true, ClientStreams: true, Handler: streaming("Chat", chat)},
	},
}

type setter struct {
	header  func(metadata.MD) error
	trailer func(metadata.MD)
}

type call struct {
	id       string
	metadata metadata.MD
	stream   grpc.ServerStream
}

func (c *call) number(name string) int {
	values := c.metadata.Get(name)
	if len(values) == 0 {
		return 0
	}
	number, _ := strconv.Atoi(values[0])
	return number
}

func (c *call) text(name string) string {
	values := c.metadata.Get(name)
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

func streaming(method string, body func(*call) error) grpc.StreamHandler {
	return func(_ any, stream grpc.ServerStream) error {
		return answer(stream.Context(), method, setter{stream.SendHeader, stream.SetTrailer}, func(c *call) error {
			c.stream = stream
			return body(c)
		})
	}
}

var attempts = map[string]int{}
var attemptsLock sync.Mutex

// What every method does: tells the test of the call, fails or waits as the metadata asks, and gives metadata back.
func answer(ctx context.Context, method string, set setter, body func(*call) error) error {
	md, _ := metadata.FromIncomingContext(ctx)
	c := &call{metadata: md}
	c.id = c.text("x-call")
	deadlineMs := -1
	if deadline, ok := ctx.Deadline(); ok {
		deadlineMs = int(time.Until(deadline).Milliseconds())
	}
	attemptsLock.Lock()
	attempts[c.id]++
	attempt := attempts[c.id]
	attemptsLock.Unlock()
	say(said{"event": "begin", "call": c.id, "method": method, "deadlineMs": deadlineMs, "attempt": attempt})
	err := run(ctx, c, attempt, set, body)
	say(said{"event": "end", "call": c.id, "cancelled": ctx.Err() != nil, "error": fmt.Sprint(err)})
	return err
}

func run(ctx context.Context, c *call, attempt int, set setter, body func(*call) error) error {
	if delay := c.number("x-delay-ms"); delay > 0 {
		select {
		case <-time.After(time.Duration(delay) * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if attempt <= c.number("x-fail-first") {
		return failure(c.number("x-fail"), "not yet")
	}
	if c.number("x-fail-first") == 0 && c.number("x-fail") > 0 && c.text("x-fail-late") == "" {
		return failure(c.number("x-fail"), c.text("x-fail-message-bin"))
	}
	header, trailer := metadata.MD{}, metadata.MD{}
	for _, kind := range []string{"", "-bin"} {
		if values := c.metadata.Get("x-ping" + kind); len(values) > 0 {
			header["x-pong"+kind] = values
			trailer["x-tail"+kind] = values
		}
	}
	if err := set.header(header); err != nil {
		return err
	}
	set.trailer(trailer)
	if err := body(c); err != nil {
		return err
	}
	if c.text("x-fail-late") != "" {
		return failure(c.number("x-fail"), c.text("x-fail-message-bin"))
	}
	return nil
}

func produce(c *call) error {
	var message []byte
	if err := c.stream.RecvMsg(&message); err != nil {
		return err
	}
	count, size := c.number("x-count"), c.number("x-size")
	for n := range count {
		bytes := pattern(size, n)
		if err := c.stream.SendMsg(&bytes); err != nil {
			return err
		}
		say(said{"event": "sent", "call": c.id, "count": n + 1})
	}
	return nil
}

func collect(c *call) error {
	hash := sha256.New()
	for {
		var message []byte
		if err := c.stream.RecvMsg(&message); err == io.EOF {
			break
		} else if err != nil {
			return err
		}
		hash.Write(message)
	}
	sum := []byte(hex.EncodeToString(hash.Sum(nil)))
	return c.stream.SendMsg(&sum)
}

func chat(c *call) error {
	for {
		var message []byte
		if err := c.stream.RecvMsg(&message); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if err := c.stream.SendMsg(&message); err != nil {
			return err
		}
	}
}
