"""The tables of networks: their Arrow schemas. Authors are named as in the corpus; no text appears."""

from __future__ import annotations

import pyarrow as pa

TIME = pa.timestamp("us", tz="UTC")

EDGES = pa.schema(
    [
        pa.field("graph", pa.string(), nullable=False),
        # of an undirected graph, the two in the order of their ids
        pa.field("source_id", pa.string(), nullable=False),
        pa.field("target_id", pa.string(), nullable=False),
        # replies, mentions or reposts; of co-participation, contexts that both are in
        pa.field("num_events", pa.int64(), nullable=False),
        pa.field("weight", pa.float64(), nullable=False),
        # of a weight that was estimated from a sample; else 0
        pa.field("variance", pa.float64(), nullable=False),
        # of as much by chance, given the activity of both ends; null where no model is of this graph
        pa.field("p_value", pa.float64()),
        pa.field("in_backbone", pa.bool_()),
        pa.field("first_at", TIME),
        pa.field("last_at", TIME),
    ]
)

AUTHORS = pa.schema(
    [
        pa.field("author_id", pa.string(), nullable=False),
        pa.field("num_documents", pa.int64(), nullable=False),
        # documents that are no comments and no reposts
        pa.field("num_posts", pa.int64(), nullable=False),
        pa.field("num_comments", pa.int64(), nullable=False),
        pa.field("num_reposts", pa.int64(), nullable=False),
        # over documents that have a score; null where none has
        pa.field("score", pa.int64()),
        # of documents of the first hours, as many as the recipe's `horizon_hours`
        pa.field("early_score", pa.int64()),
        pa.field("first_at", TIME),
        pa.field("last_at", TIME),
        # standard deviation over mean of the times between documents; null below ten documents
        pa.field("interval_cv", pa.float64()),
        # of most documents; null where there are no topics
        pa.field("top_topic_id", pa.int32()),
    ]
)

NODES = pa.schema(
    [
        pa.field("graph", pa.string(), nullable=False),
        pa.field("author_id", pa.string(), nullable=False),
        # both directions together; those of one are null in undirected graphs
        pa.field("degree", pa.int64(), nullable=False),
        pa.field("in_degree", pa.int64()),
        pa.field("out_degree", pa.int64()),
        pa.field("strength", pa.float64(), nullable=False),
        pa.field("in_strength", pa.float64()),
        pa.field("out_strength", pa.float64()),
        pa.field("hub", pa.float64(), nullable=False),
        pa.field("authority", pa.float64(), nullable=False),
        pa.field("pagerank", pa.float64(), nullable=False),
        pa.field("core", pa.int32(), nullable=False),
        # 0 is the largest; directions left out
        pa.field("component_id", pa.int32(), nullable=False),
        # 0 is the largest; null outside of the component that was searched
        pa.field("community_id", pa.int32()),
    ]
)

COMMUNITIES = pa.schema(
    [
        pa.field("graph", pa.string(), nullable=False),
        pa.field("community_id", pa.int32(), nullable=False),
        pa.field("size", pa.int64(), nullable=False),
        # sum of strengths; of a directed graph both directions
        pa.field("volume", pa.float64(), nullable=False),
        pa.field("inner_edges", pa.int64(), nullable=False),
        pa.field("inner_weight", pa.float64(), nullable=False),
        pa.field("cut_edges", pa.int64(), nullable=False),
        pa.field("cut_weight", pa.float64(), nullable=False),
        pa.field("conductance", pa.float64()),
        pa.field("cut_ratio", pa.float64()),
    ]
)

# Inside of one of the 1,000 largest communities and between two; of an undirected graph from the larger one (the
# smaller id), each edge once.
COMMUNITY_EDGES = pa.schema(
    [
        pa.field("graph", pa.string(), nullable=False),
        pa.field("source_community_id", pa.int32(), nullable=False),
        pa.field("target_community_id", pa.int32(), nullable=False),
        pa.field("num_edges", pa.int64(), nullable=False),
        pa.field("weight", pa.float64(), nullable=False),
    ]
)

# `graph` is `corpus` where a figure is of no graph.
NETWORK_STATS = pa.schema(
    [
        pa.field("graph", pa.string(), nullable=False),
        pa.field("statistic", pa.string(), nullable=False),
        pa.field("value", pa.float64()),
        pa.field("population", pa.string(), nullable=False),
        pa.field("num_values", pa.int64(), nullable=False),
        # 95 % interval
        pa.field("low", pa.float64()),
        pa.field("high", pa.float64()),
        # beside random graphs of the same degrees
        pa.field("null_mean", pa.float64()),
        pa.field("null_sd", pa.float64()),
        pa.field("z", pa.float64()),
        pa.field("p_value", pa.float64()),
        pa.field("num_nulls", pa.int64(), nullable=False),
        pa.field("definition", pa.string(), nullable=False),
    ]
)

NETWORK_CURVES = pa.schema(
    [
        pa.field("graph", pa.string(), nullable=False),
        pa.field("curve", pa.string(), nullable=False),
        pa.field("x", pa.float64(), nullable=False),
        pa.field("y", pa.float64(), nullable=False),
    ]
)

TOPIC_COMMUNITIES = pa.schema(
    [
        pa.field("graph", pa.string(), nullable=False),
        pa.field("topic_id", pa.int32(), nullable=False),
        pa.field("community_id", pa.int32(), nullable=False),
        pa.field("num_documents", pa.int64(), nullable=False),
        # were topics the same in all communities
        pa.field("expected", pa.float64(), nullable=False),
        pa.field("log2_ratio", pa.float64()),
        # communities shuffled over authors; q with false discoveries controlled over all cells of the graph
        pa.field("p_value", pa.float64()),
        pa.field("q_value", pa.float64()),
    ]
)

TOP_CONTEXTS = pa.schema(
    [
        pa.field("graph", pa.string(), nullable=False),
        # the first by events; the last row, `other`, is of all that may not or do not fit to be named
        pa.field("context", pa.string(), nullable=False),
        pa.field("num_events", pa.int64(), nullable=False),
        # null for `other`: an author may be in several of its contexts
        pa.field("num_authors", pa.int64()),
    ]
)

NETWORK_TABLES = {
    "authors": AUTHORS,
    "edges": EDGES,
    "nodes": NODES,
    "communities": COMMUNITIES,
    "community_edges": COMMUNITY_EDGES,
    "topic_communities": TOPIC_COMMUNITIES,
    "top_contexts": TOP_CONTEXTS,
    "network_curves": NETWORK_CURVES,
    # committed last: readers of it find the others
    "network_stats": NETWORK_STATS,
}
NETWORK_KEYS = {
    "authors": "author_id",
    "edges": "graph, source_id, target_id",
    "nodes": "graph, author_id",
    "communities": "graph, community_id",
    "community_edges": "graph, source_community_id, target_community_id",
    "topic_communities": "graph, topic_id, community_id",
    "top_contexts": "graph, context",
    "network_curves": "graph, curve, x",
    "network_stats": "graph, statistic",
}
