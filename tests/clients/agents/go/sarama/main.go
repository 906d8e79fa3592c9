// The Sarama client, as Telegraf, Filebeat and many exporters embed it.
package main

import (
	"errors"
	"regexp"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/IBM/sarama"

	"ringlog.test/clients/agent"
)

var (
	client    sarama.Client
	admin     sarama.ClusterAdmin
	producers = map[string]sarama.SyncProducer{}
	codecs    = map[string]sarama.CompressionCodec{
		"none": sarama.CompressionNone, "gzip": sarama.CompressionGZIP, "snappy": sarama.CompressionSnappy,
		"lz4": sarama.CompressionLZ4, "zstd": sarama.CompressionZSTD,
	}
)

func codeOf(err error) (int16, bool) {
	var code sarama.KError
	if errors.As(err, &code) {
		return int16(code), true
	}
	var topic *sarama.TopicError
	if errors.As(err, &topic) {
		return int16(topic.Err), true
	}
	var partition *sarama.TopicPartitionError
	if errors.As(err, &partition) {
		return int16(partition.Err), true
	}
	var alter *sarama.AlterConfigError
	if errors.As(err, &alter) {
		return int16(alter.Err), true
	}
	// DeleteRecords keeps only the text of its errors.
	for code := sarama.KError(1); code < 130; code++ {
		if text := code.Error(); !unknown.MatchString(text) && strings.Contains(err.Error(), text) {
			return int16(code), true
		}
	}
	return 0, false
}

var unknown = regexp.MustCompile(`^Unknown error`)

func createTopic(q *agent.Request) (agent.Reply, error) {
	detail := sarama.TopicDetail{NumPartitions: q.Partitions, ReplicationFactor: 1, ConfigEntries: map[string]*string{}}
	for name, value := range q.Configs {
		detail.ConfigEntries[name] = &value
	}
	return nil, admin.CreateTopic(q.Topic, &detail, false)
}

func deleteTopic(q *agent.Request) (agent.Reply, error) { return nil, admin.DeleteTopic(q.Topic) }

func listTopics(*agent.Request) (agent.Reply, error) {
	found, err := admin.ListTopics()
	names := []string{}
	for name := range found {
		names = append(names, name)
	}
	return agent.Reply{"topics": names}, err
}

func describeTopic(q *agent.Request) (agent.Reply, error) {
	found, err := admin.DescribeTopics([]string{q.Topic})
	if err != nil {
		return nil, err
	}
	if found[0].Err != sarama.ErrNoError {
		return nil, found[0].Err
	}
	parts := make([]agent.Partition, len(found[0].Partitions))
	for _, p := range found[0].Partitions {
		parts[p.ID] = agent.Partition{ID: p.ID, Leader: p.Leader, Replicas: p.Replicas, ISR: p.Isr}
	}
	return agent.Reply{"partitions": parts}, nil
}

func describeCluster(*agent.Request) (agent.Reply, error) {
	brokers, controller, err := admin.DescribeCluster()
	nodes := []agent.Node{}
	for _, b := range brokers {
		host, port, _ := strings.Cut(b.Addr(), ":")
		number, _ := strconv.Atoi(port)
		nodes = append(nodes, agent.Node{ID: b.ID(), Host: host, Port: int32(number)})
	}
	return agent.Reply{"cluster_id": "not shown", "controller": controller, "nodes": nodes}, err
}

func getConfig(q *agent.Request) (agent.Reply, error) {
	found, err := admin.DescribeConfig(sarama.ConfigResource{Type: sarama.TopicResource, Name: q.Topic})
	out := map[string]any{}
	for _, c := range found {
		out[c.Name] = map[string]any{"value": c.Value}
	}
	return agent.Reply{"configs": out}, err
}

func alterConfig(q *agent.Request) (agent.Reply, error) {
	changes := map[string]sarama.IncrementalAlterConfigsEntry{}
	for name, value := range q.Configs {
		changes[name] = sarama.IncrementalAlterConfigsEntry{Operation: sarama.IncrementalAlterConfigsOperationSet, Value: &value}
	}
	return nil, admin.IncrementalAlterConfig(sarama.TopicResource, q.Topic, changes, false)
}

func createPartitions(q *agent.Request) (agent.Reply, error) {
	return nil, admin.CreatePartitions(q.Topic, q.Count, nil, false)
}

func deleteRecords(q *agent.Request) (agent.Reply, error) {
	return nil, admin.DeleteRecords(q.Topic, map[int32]int64{q.Partition: q.Before})
}

func producer(q *agent.Request) (sarama.SyncProducer, error) {
	codec, acks := q.Codec, ""
	if codec == "" {
		codec = "none"
	}
	if q.Acks != nil {
		acks = *q.Acks
	}
	key := codec + "/" + acks + "/" + strconv.FormatBool(q.Idempotent)
	if producers[key] != nil {
		return producers[key], nil
	}
	config := sarama.NewConfig()
	config.Producer.Return.Successes = true
	config.Producer.Partitioner = sarama.NewManualPartitioner
	config.Producer.Compression = codecs[codec]
	if acks != "" {
		level, _ := strconv.Atoi(acks)
		config.Producer.RequiredAcks = sarama.RequiredAcks(level)
	}
	if q.Idempotent {
		config.Producer.Idempotent = true
		config.Producer.RequiredAcks = sarama.WaitForAll
		config.Net.MaxOpenRequests = 1
	}
	made, err := sarama.NewSyncProducer([]string{agent.Bootstrap}, config)
	producers[key] = made
	return made, err
}

func produce(q *agent.Request) (agent.Reply, error) {
	sender, err := producer(q)
	if err != nil {
		return nil, err
	}
	messages := make([]*sarama.ProducerMessage, len(q.Records))
	for i, r := range q.Records {
		m := &sarama.ProducerMessage{Topic: q.Topic, Partition: r.Partition, Timestamp: time.UnixMilli(r.Time), Metadata: i}
		m.Key, m.Value = sarama.ByteEncoder(r.Key), sarama.ByteEncoder(r.Value)
		for _, h := range r.Headers {
			m.Headers = append(m.Headers, sarama.RecordHeader{Key: []byte(h.Name), Value: h.Value})
		}
		messages[i] = m
	}
	err = sender.SendMessages(messages)
	results := make([]agent.Reply, len(messages))
	for i, m := range messages {
		results[i] = agent.Reply{"p": m.Partition, "o": m.Offset}
	}
	var refused sarama.ProducerErrors
	if errors.As(err, &refused) {
		for _, e := range refused {
			results[e.Msg.Metadata.(int)] = agent.Failed(e.Err, codeOf)
		}
		err = nil
	}
	return agent.Reply{"results": results}, err
}

func consume(q *agent.Request) (agent.Reply, error) {
	config := sarama.NewConfig()
	if q.MaxWaitMs > 0 {
		config.Consumer.MaxWaitTime = time.Duration(q.MaxWaitMs) * time.Millisecond
	}
	consumer, err := sarama.NewConsumer([]string{agent.Bootstrap}, config)
	if err != nil {
		return nil, err
	}
	from, earliest := q.From()
	if earliest {
		from = sarama.OffsetOldest
	}
	partition, err := consumer.ConsumePartition(q.Topic, q.Partition, from)
	if err != nil {
		_ = consumer.Close()
		return nil, err
	}
	records, next, late := []agent.Record{}, int64(-1), time.After(30*time.Second)
	for next < q.Until {
		select {
		case m := <-partition.Messages():
			next = m.Offset + 1
			records = append(records, common(m))
			continue
		case <-late:
		}
		break
	}
	reply := agent.Reply{"records": records, "at": float64(time.Now().UnixMilli()) / 1000}
	partition.AsyncClose()
	go func() { _ = consumer.Close() }()
	return reply, nil
}

func common(m *sarama.ConsumerMessage) agent.Record {
	out := agent.Record{
		Partition: m.Partition, Offset: m.Offset, Time: m.Timestamp.UnixMilli(), Key: m.Key, Value: m.Value, Headers: []agent.Header{},
	}
	for _, h := range m.Headers {
		out.Headers = append(out.Headers, agent.Header{Name: string(h.Key), Value: h.Value})
	}
	return out
}

func awaitRecord(q *agent.Request) (agent.Reply, error) {
	start, _ := q.From()
	q.Until = start + 1
	return consume(q)
}

func offset(q *agent.Request, at int64) (int64, error) {
	if err := client.RefreshMetadata(q.Topic); err != nil {
		return 0, err
	}
	return client.GetOffset(q.Topic, q.Partition, at)
}

func watermarks(q *agent.Request) (agent.Reply, error) {
	begin, err := offset(q, sarama.OffsetOldest)
	if err != nil {
		return nil, err
	}
	end, err := offset(q, sarama.OffsetNewest)
	return agent.Reply{"begin": begin, "end": end}, err
}

func offsetForTime(q *agent.Request) (agent.Reply, error) {
	found, err := offset(q, q.Time)
	if found < 0 {
		return agent.Reply{"offset": nil}, err
	}
	return agent.Reply{"offset": found}, err
}

func version() string {
	info, _ := debug.ReadBuildInfo()
	for _, m := range info.Deps {
		if m.Path == "github.com/IBM/sarama" {
			return strings.TrimPrefix(m.Version, "v")
		}
	}
	return "?"
}

func main() {
	var err error
	if client, err = sarama.NewClient([]string{agent.Bootstrap}, sarama.NewConfig()); err != nil {
		panic(err)
	}
	if admin, err = sarama.NewClusterAdminFromClient(client); err != nil {
		panic(err)
	}
	agent.Serve(version(), []string{}, map[string]agent.Op{
		"create_topic": createTopic, "delete_topic": deleteTopic, "list_topics": listTopics, "describe_topic": describeTopic,
		"describe_cluster": describeCluster, "get_config": getConfig, "alter_config": alterConfig, "create_partitions": createPartitions,
		"delete_records": deleteRecords, "watermarks": watermarks, "offset_for_time": offsetForTime,
		"produce": produce, "consume": consume, "await_record": awaitRecord,
	}, codeOf)
}
