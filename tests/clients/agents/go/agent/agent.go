// Package agent is the common part of the Go client programs: requests in on stdin, answers out on stdout, one JSON object a line.
package agent

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
)

// Bootstrap is the broker's address, host:port.
var Bootstrap = os.Getenv("BOOTSTRAP")

// Codecs in the order of their numbers in a batch.
var Codecs = []string{"none", "gzip", "snappy", "lz4", "zstd"}

// Header is a name and a value, null allowed, as a JSON array of two.
type Header struct {
	Name  string
	Value []byte
}

// MarshalJSON writes [name, value].
func (h Header) MarshalJSON() ([]byte, error) { return json.Marshal([]any{h.Name, h.Value}) }

// UnmarshalJSON reads [name, value].
func (h *Header) UnmarshalJSON(data []byte) error {
	return json.Unmarshal(data, &[]any{&h.Name, &h.Value})
}

// Record of the common form; Offset and Type only when read back. Bytes are base64 in JSON, nil is null.
type Record struct {
	Partition int32    `json:"p"`
	Offset    int64    `json:"o"`
	Time      int64    `json:"ts"`
	Type      *string  `json:"tt"`
	Key       []byte   `json:"k"`
	Value     []byte   `json:"v"`
	Headers   []Header `json:"h"`
}

// Request has the arguments of all operations.
type Request struct {
	Op         string            `json:"op"`
	Topic      string            `json:"topic"`
	Partition  int32             `json:"partition"`
	Partitions int32             `json:"partitions"`
	Count      int32             `json:"count"`
	Before     int64             `json:"before"`
	Until      int64             `json:"until"`
	Start      any               `json:"start"`
	Time       int64             `json:"ts"`
	Spec       string            `json:"spec"`
	Configs    map[string]string `json:"configs"`
	Records    []Record          `json:"records"`
	Codec      string            `json:"codec"`
	Acks       *string           `json:"acks"`
	Idempotent bool              `json:"idempotent"`
	MaxWaitMs  int32             `json:"max_wait_ms"`
}

// From is the offset to read from, or earliest=true.
func (r *Request) From() (offset int64, earliest bool) {
	if f, ok := r.Start.(float64); ok {
		return int64(f), false
	}
	return 0, true
}

// Reply to one request.
type Reply map[string]any

// Partition as topic descriptions give it.
type Partition struct {
	ID       int32   `json:"id"`
	Leader   int32   `json:"leader"`
	Replicas []int32 `json:"replicas"`
	ISR      []int32 `json:"isr"`
}

// Node of the cluster.
type Node struct {
	ID   int32  `json:"id"`
	Host string `json:"host"`
	Port int32  `json:"port"`
}

// Op is one operation of a client.
type Op func(*Request) (Reply, error)

// Failed is the answer for an error, with the Kafka code that codeOf finds in it.
func Failed(err error, codeOf func(error) (int16, bool)) Reply {
	reply := Reply{"error": err.Error()}
	if code, ok := codeOf(err); ok {
		reply["code"] = code
	}
	return reply
}

// Serve answers requests until stdin closes.
func Serve(version string, cannot []string, ops map[string]Op, codeOf func(error) (int16, bool)) {
	names := []string{}
	for name := range ops {
		names = append(names, name)
	}
	ops["hello"] = func(*Request) (Reply, error) {
		return Reply{"version": version, "ops": names, "codecs": Codecs, "cannot": cannot}, nil
	}
	out := json.NewEncoder(os.Stdout)
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return
		}
		var request Request
		if err := json.Unmarshal(line, &request); err != nil {
			_ = out.Encode(Failed(err, codeOf))
			continue
		}
		_ = out.Encode(run(ops[request.Op], &request, codeOf))
	}
}

func run(op Op, request *Request, codeOf func(error) (int16, bool)) Reply {
	if op == nil {
		return Reply{"error": "no operation " + request.Op}
	}
	reply, err := op(request)
	if err != nil {
		fmt.Fprintln(os.Stderr, request.Op, err)
		return Failed(err, codeOf)
	}
	if reply == nil {
		reply = Reply{}
	}
	return reply
}
