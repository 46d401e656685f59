package main

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"flag"
	"io"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// A call as CallSpec in ../service.ts has it.
type spec struct {
	Op         string            `json:"op"`
	Call       string            `json:"call"`
	Method     string            `json:"method"`
	Sizes      []int             `json:"sizes"`
	Metadata   map[string]string `json:"metadata"`
	DeadlineMs int               `json:"deadlineMs"`
	Lockstep   bool              `json:"lockstep"`
	PauseAfter int               `json:"pauseAfter"`
}

type underWay struct {
	cancel context.CancelFunc
	resume chan struct{}
}

var calls = map[string]underWay{}
var callsLock sync.Mutex

func drive(args []string) {
	flags := flag.NewFlagSet("client", flag.ExitOnError)
	target := flags.String("target", "", "HOST:PORT")
	ca := flags.String("ca", "", "PEM of the authority: TLS instead of plain")
	name := flags.String("name", "", "the server's name in TLS")
	flags.Parse(args)

	secure := insecure.NewCredentials()
	if *ca != "" {
		tls, err := credentials.NewClientTLSFromFile(*ca, *name)
		if err != nil {
			fail(err)
		}
		secure = tls
	}
	connection, err := grpc.NewClient("passthrough:///"+*target, grpc.WithTransportCredentials(secure),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(codec{}), grpc.MaxCallRecvMsgSize(messageBytesMax)))
	if err != nil {
		fail(err)
	}
	eachLine(func(line []byte) {
		var asked spec
		if err := json.Unmarshal(line, &asked); err != nil {
			fail(err)
		}
		callsLock.Lock()
		known := calls[asked.Call]
		callsLock.Unlock()
		switch asked.Op {
		case "cancel":
			known.cancel()
		case "resume":
			close(known.resume)
		case "start":
			begin(connection, asked)
		}
	})
}

func begin(connection *grpc.ClientConn, asked spec) {
	ctx, cancel := context.WithCancel(context.Background())
	if asked.DeadlineMs > 0 {
		ctx, cancel = context.WithTimeout(ctx, time.Duration(asked.DeadlineMs)*time.Millisecond)
	}
	resume := make(chan struct{})
	callsLock.Lock()
	calls[asked.Call] = underWay{cancel, resume}
	callsLock.Unlock()
	for name, value := range asked.Metadata {
		if strings.HasSuffix(name, "-bin") {
			bytes, _ := base64.StdEncoding.DecodeString(value)
			value = string(bytes)
		}
		ctx = metadata.AppendToOutgoingContext(ctx, name, value)
	}
	go func() {
		defer cancel()
		header, trailer, received, err := perform(ctx, connection, asked, resume)
		outcome := status.Convert(err)
		say(said{"event": "result", "call": asked.Call, "code": int(outcome.Code()), "message": outcome.Message(),
			"headers": shown(header), "trailers": shown(trailer), "received": received})
		callsLock.Lock()
		delete(calls, asked.Call)
		callsLock.Unlock()
	}()
}

type message struct {
	Size   int    `json:"size"`
	Digest string `json:"digest"`
}

func perform(ctx context.Context, connection *grpc.ClientConn, asked spec, resume chan struct{}) (
	header, trailer metadata.MD, received []message, err error) {
	received = []message{}
	streaming := asked.Method == "Collect" || asked.Method == "Chat"
	description := &grpc.StreamDesc{ServerStreams: true, ClientStreams: streaming}
	stream, err := connection.NewStream(ctx, description, "/outboard.test.Peer/"+asked.Method)
	if err != nil {
		return nil, nil, received, err
	}
	read := func() error {
		var bytes []byte
		if err := stream.RecvMsg(&bytes); err != nil {
			return err
		}
		sum := sha256.Sum256(bytes)
		received = append(received, message{len(bytes), hex.EncodeToString(sum[:])})
		say(said{"event": "message", "call": asked.Call, "count": len(received)})
		if len(received) == asked.PauseAfter {
			<-resume
		}
		return nil
	}
	// An error of sending is io.EOF: what it was, receiving says.
	sending := func() {
		for n, size := range asked.Sizes {
			bytes := pattern(size, n)
			if stream.SendMsg(&bytes) != nil {
				return
			}
			if asked.Lockstep {
				if err = read(); err != nil {
					return
				}
			}
		}
		stream.CloseSend()
	}
	if asked.Lockstep {
		sending()
	} else {
		go sending()
	}
	for err == nil {
		err = read()
	}
	if err == io.EOF {
		err = nil
	}
	header, _ = stream.Header()
	return header, stream.Trailer(), received, err
}

func shown(md metadata.MD) map[string][]string {
	shown := map[string][]string{}
	for name, values := range md {
		for _, value := range values {
			if strings.HasSuffix(name, "-bin") {
				value = base64.StdEncoding.EncodeToString([]byte(value))
			}
			shown[name] = append(shown[name], value)
		}
	}
	return shown
}
