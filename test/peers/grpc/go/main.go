// The other gRPC stack of Outboard's tests: a server, or a client that does what lines of JSON on its standard input
// say. Either tells what it sees as lines of JSON on its standard output. The methods are those of ../service.ts.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

const messageBytesMax = 16 << 20

func main() {
	if len(os.Args) < 2 {
		fail(fmt.Errorf("usage: grpc-peer server | client"))
	}
	switch os.Args[1] {
	case "server":
		serve(os.Args[2:])
	case "client":
		drive(os.Args[2:])
	default:
		fail(fmt.Errorf("no such role: %s", os.Args[1]))
	}
}

var stdout = json.NewEncoder(os.Stdout)
var stdoutLock sync.Mutex

type said map[string]any

func say(what said) {
	stdoutLock.Lock()
	defer stdoutLock.Unlock()
	if stdout.Encode(what) != nil {
		os.Exit(0) // Nobody listens any more.
	}
}

// Calls each with every line of the standard input; the test that started us has gone when it ends.
func eachLine(each func(line []byte)) {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(make([]byte, 64<<10), messageBytesMax)
	for lines.Scan() {
		each(lines.Bytes())
	}
	os.Exit(0)
}

// Bytes as they are, so that no code is generated; messages of gRPC's own services as usual.
type codec struct{}

func (codec) Name() string { return "proto" }

func (codec) Marshal(v any) ([]byte, error) {
	if bytes, ok := v.(*[]byte); ok {
		return *bytes, nil
	}
	return proto.Marshal(v.(proto.Message))
}

func (codec) Unmarshal(data []byte, v any) error {
	if bytes, ok := v.(*[]byte); ok {
		*bytes = append([]byte(nil), data...)
		return nil
	}
	return proto.Unmarshal(data, v.(proto.Message))
}

// The n-th message of a length: pattern() in ../service.ts makes the same.
func pattern(size, n int) []byte {
	bytes := make([]byte, size)
	for at := range bytes {
		bytes[at] = byte(at*31 + (at >> 8) + n*17)
	}
	return bytes
}

func failure(code int, message string) error { return status.Error(codes.Code(code), message) }

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
