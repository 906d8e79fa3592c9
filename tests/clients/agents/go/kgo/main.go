// The franz-go client: kgo for records, kadm for administration.
package main

import (
	"context"
	"errors"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"ringlog.test/clients/agent"
)

var (
	admin     *kadm.Client
	producers = map[string]*kgo.Client{}
	codecs    = map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}
	kinds = []string{"create", "append"}
)

func limited() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), 40*time.Second)
}

func codeOf(err error) (int16, bool) {
	var e *kerr.Error
	if errors.As(err, &e) {
		return e.Code, true
	}
	return 0, false
}

func configs(in map[string]string) map[string]*string {
	out := map[string]*string{}
	for name, value := range in {
		out[name] = kadm.StringPtr(value)
	}
	return out
}

func createTopic(q *agent.Request) (agent.Reply, error) {
	ctx, cancel := limited()
	defer cancel()
	_, err := admin.CreateTopic(ctx, q.Partitions, 1, configs(q.Configs), q.Topic)
	return nil, err
}

func deleteTopic(q *agent.Request) (agent.Reply, error) {
	ctx, cancel := limited()
	defer cancel()
	_, err := admin.DeleteTopic(ctx, q.Topic)
	// A running producer holds on to the deleted topic's id, also when the name comes back, on Kafka too.
	for key, old := range producers {
		old.Close()
		delete(producers, key)
	}
	return nil, err
}

func listTopics(*agent.Request) (agent.Reply, error) {
	ctx, cancel := limited()
	defer cancel()
	found, err := admin.ListTopics(ctx)
	return agent.Reply{"topics": found.Names()}, err
}

func describeTopic(q *agent.Request) (agent.Reply, error) {
	ctx, cancel := limited()
	defer cancel()
	found, err := admin.ListTopics(ctx, q.Topic)
	if err != nil {
		return nil, err
	}
	if err := found[q.Topic].Err; err != nil {
		return nil, err
	}
	parts := []agent.Partition{}
	for _, p := range found[q.Topic].Partitions.Sorted() {
		parts = append(parts, agent.Partition{ID: p.Partition, Leader: p.Leader, Replicas: p.Replicas, ISR: p.ISR})
	}
	return agent.Reply{"partitions": parts}, nil
}

func describeCluster(*agent.Request) (agent.Reply, error) {
	ctx, cancel := limited()
	defer cancel()
	found, err := admin.BrokerMetadata(ctx)
	nodes := []agent.Node{}
	for _, b := range found.Brokers {
		nodes = append(nodes, agent.Node{ID: b.NodeID, Host: b.Host, Port: b.Port})
	}
	return agent.Reply{"cluster_id": found.Cluster, "controller": found.Controller, "nodes": nodes}, err
}

func getConfig(q *agent.Request) (agent.Reply, error) {
	ctx, cancel := limited()
	defer cancel()
	found, err := admin.DescribeTopicConfigs(ctx, q.Topic)
	if err != nil {
		return nil, err
	}
	out := map[string]any{}
	for _, c := range found[0].Configs {
		out[c.Key] = map[string]any{"value": c.Value}
	}
	return agent.Reply{"configs": out}, found[0].Err
}

func alterConfig(q *agent.Request) (agent.Reply, error) {
	ctx, cancel := limited()
	defer cancel()
	changes := []kadm.AlterConfig{}
	for name, value := range q.Configs {
		changes = append(changes, kadm.AlterConfig{Op: kadm.SetConfig, Name: name, Value: kadm.StringPtr(value)})
	}
	found, err := admin.AlterTopicConfigs(ctx, changes, q.Topic)
	if err != nil {
		return nil, err
	}
	return nil, found[0].Err
}

func createPartitions(q *agent.Request) (agent.Reply, error) {
	ctx, cancel := limited()
	defer cancel()
	found, err := admin.UpdatePartitions(ctx, int(q.Count), q.Topic)
	if err != nil {
		return nil, err
	}
	return nil, found[q.Topic].Err
}

func deleteRecords(q *agent.Request) (agent.Reply, error) {
	ctx, cancel := limited()
	defer cancel()
	before := kadm.Offsets{}
	before.AddOffset(q.Topic, q.Partition, q.Before, -1)
	found, err := admin.DeleteRecords(ctx, before)
	if err != nil {
		return nil, err
	}
	one, _ := found.Lookup(q.Topic, q.Partition)
	return agent.Reply{"low_watermark": one.LowWatermark}, one.Err
}

func listed(q *agent.Request, spec string) (kadm.ListedOffset, error) {
	ctx, cancel := limited()
	defer cancel()
	var found kadm.ListedOffsets
	var err error
	switch spec {
	case "earliest":
		found, err = admin.ListStartOffsets(ctx, q.Topic)
	case "latest":
		found, err = admin.ListEndOffsets(ctx, q.Topic)
	case "max_timestamp":
		found, err = admin.ListMaxTimestampOffsets(ctx, q.Topic)
	default:
		at, _ := strconv.ParseInt(spec, 10, 64)
		found, err = admin.ListOffsetsAfterMilli(ctx, at, q.Topic)
	}
	if err != nil {
		return kadm.ListedOffset{}, err
	}
	one, _ := found.Lookup(q.Topic, q.Partition)
	return one, one.Err
}

func listOffsets(q *agent.Request) (agent.Reply, error) {
	one, err := listed(q, q.Spec)
	return agent.Reply{"offset": one.Offset, "ts": one.Timestamp, "epoch": one.LeaderEpoch}, err
}

func watermarks(q *agent.Request) (agent.Reply, error) {
	begin, err := listed(q, "earliest")
	if err != nil {
		return nil, err
	}
	end, err := listed(q, "latest")
	return agent.Reply{"begin": begin.Offset, "end": end.Offset}, err
}

// offsetForTime: kadm answers the end of the log, without a time, when no record is that young.
func offsetForTime(q *agent.Request) (agent.Reply, error) {
	one, err := listed(q, strconv.FormatInt(q.Time, 10))
	if one.Timestamp < 0 {
		return agent.Reply{"offset": nil}, err
	}
	return agent.Reply{"offset": one.Offset, "ts": one.Timestamp}, err
}

func producer(q *agent.Request) (*kgo.Client, error) {
	codec, acks := q.Codec, "default"
	if codec == "" {
		codec = "none"
	}
	if q.Acks != nil {
		acks = *q.Acks
	}
	key := codec + "/" + acks
	if producers[key] != nil {
		return producers[key], nil
	}
	options := []kgo.Opt{
		kgo.SeedBrokers(agent.Bootstrap), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.AllowAutoTopicCreation(),
		kgo.ProducerBatchCompression(codecs[codec]),
	}
	switch acks {
	case "0":
		options = append(options, kgo.RequiredAcks(kgo.NoAck()), kgo.DisableIdempotentWrite())
	case "1":
		options = append(options, kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite())
	}
	client, err := kgo.NewClient(options...)
	producers[key] = client
	return client, err
}

func produce(q *agent.Request) (agent.Reply, error) {
	client, err := producer(q)
	if err != nil {
		return nil, err
	}
	results := make([]agent.Reply, len(q.Records))
	ctx, cancel := limited()
	defer cancel()
	for i, r := range q.Records {
		record := &kgo.Record{Topic: q.Topic, Partition: r.Partition, Timestamp: time.UnixMilli(r.Time), Key: r.Key, Value: r.Value}
		for _, h := range r.Headers {
			record.Headers = append(record.Headers, kgo.RecordHeader{Key: h.Name, Value: h.Value})
		}
		client.Produce(ctx, record, func(done *kgo.Record, err error) {
			if err != nil {
				results[i] = agent.Failed(err, codeOf)
				return
			}
			results[i] = agent.Reply{"p": done.Partition, "o": done.Offset}
		})
	}
	return agent.Reply{"results": results}, client.Flush(ctx)
}

func consume(q *agent.Request) (agent.Reply, error) {
	from := kgo.NewOffset().AtStart()
	if at, earliest := q.From(); !earliest {
		from = kgo.NewOffset().At(at)
	}
	options := []kgo.Opt{
		kgo.SeedBrokers(agent.Bootstrap),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{q.Topic: {q.Partition: from}}),
	}
	if q.MaxWaitMs > 0 {
		options = append(options, kgo.FetchMaxWait(time.Duration(q.MaxWaitMs)*time.Millisecond))
	}
	client, err := kgo.NewClient(options...)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	records, next := []agent.Record{}, int64(-1)
	for next < q.Until && ctx.Err() == nil {
		fetches := client.PollFetches(ctx)
		for _, e := range fetches.Errors() {
			if ctx.Err() == nil {
				return nil, e.Err
			}
		}
		fetches.EachRecord(func(r *kgo.Record) {
			next = r.Offset + 1
			records = append(records, common(r))
		})
	}
	reply := agent.Reply{"records": records, "at": float64(time.Now().UnixMilli()) / 1000}
	client.Close()
	return reply, nil
}

func common(r *kgo.Record) agent.Record {
	out := agent.Record{
		Partition: r.Partition, Offset: r.Offset, Time: r.Timestamp.UnixMilli(), Key: r.Key, Value: r.Value, Headers: []agent.Header{},
	}
	if t := r.Attrs.TimestampType(); t >= 0 && int(t) < len(kinds) {
		out.Type = &kinds[t]
	}
	for _, h := range r.Headers {
		out.Headers = append(out.Headers, agent.Header{Name: h.Key, Value: h.Value})
	}
	return out
}

func awaitRecord(q *agent.Request) (agent.Reply, error) {
	start, _ := q.From()
	q.Until = start + 1
	return consume(q)
}

func version() string {
	info, _ := debug.ReadBuildInfo()
	for _, m := range info.Deps {
		if m.Path == "github.com/twmb/franz-go" {
			return strings.TrimPrefix(m.Version, "v")
		}
	}
	return "?"
}

func main() {
	client, err := kgo.NewClient(kgo.SeedBrokers(agent.Bootstrap))
	if err != nil {
		panic(err)
	}
	admin = kadm.NewClient(client)

	agent.Serve(version(), []string{}, map[string]agent.Op{
		"create_topic": createTopic, "delete_topic": deleteTopic, "list_topics": listTopics, "describe_topic": describeTopic,
		"describe_cluster": describeCluster, "get_config": getConfig, "alter_config": alterConfig, "create_partitions": createPartitions,
		"delete_records": deleteRecords, "list_offsets": listOffsets, "watermarks": watermarks, "offset_for_time": offsetForTime,
		"produce": produce, "consume": consume, "await_record": awaitRecord,
	}, codeOf)
}
