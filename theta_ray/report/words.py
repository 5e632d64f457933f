"""What things are called on a page, and how each figure is read: words before jargon."""

from __future__ import annotations

GRAPHS = {
    "comment_to_parent_author": ("who answers whom", "A tie leads from who comments to who wrote what is answered."),
    "comment_to_post_author": (
        "who comments on whose post",
        "A tie leads from who comments to who opened the thread.",
    ),
    "mention": ("who mentions whom", "A tie leads from who writes to who is mentioned."),
    "repost": ("who reposts whom", "A tie leads from who reposts to who wrote it."),
    "co_thread": ("who is in the same threads", "Two people are tied when both take part in a thread."),
    "co_container": ("who is in the same forums", "Two people are tied when both write in a forum."),
    "co_hashtag": ("who uses the same hashtags", "Two people are tied when both use a hashtag."),
    "co_link": ("who shares the same links", "Two people are tied when both share an address."),
    "co_repost": ("who reposts the same", "Two people are tied when both repost a document."),
}
STATISTICS = {
    "num_nodes": "people",
    "num_edges": "ties",
    "mean_degree": "ties of a person, on average",
    "density": "density",
    "reciprocity": "reciprocity",
    "transitivity": "transitivity",
    "average_clustering": "clustering",
    "degree_assortativity": "degree assortativity",
    "largest_weak_share": "share in the largest component",
    "modularity": "modularity",
    "one_seed_modularity": "modularity of one search",
    "num_communities": "communities",
    "seed_nmi": "agreement of searches (NMI)",
    "posts_gini": "inequality of posts (Gini)",
    "comments_gini": "inequality of comments (Gini)",
    "score_gini": "inequality of scores (Gini)",
    "peak_six_hours_share": "share of the six busiest hours",
}
# Of each graph, in a table beside what chance gives.
BESIDE_CHANCE = (
    "reciprocity",
    "transitivity",
    "average_clustering",
    "degree_assortativity",
    "largest_weak_share",
    "one_seed_modularity",
)
BY_ITSELF = ("num_nodes", "num_edges", "mean_degree", "density", "num_communities", "modularity", "seed_nmi")
OF_PEOPLE = ("posts_gini", "comments_gini", "score_gini", "peak_six_hours_share")
EVENTS = {
    "first": "first night",
    "born": "born",
    "kept": "goes on",
    "split": "split off",
    "merged": "merged",
    "died": "died",
}
STAGES = {
    "prepare": "Raw dumps became documents",
    "embed": "Documents became vectors",
    "cluster": "Vectors became clusters",
    "label_topics": "Clusters became topics",
    "analyze_network": "Documents became networks",
}
# What the page itself counts; statistics of networks bring their definitions with them.
DEFINITIONS = {
    "row": "A record of an input file. Each is a document of the corpus, or turned away with a reason, or counted as "
    "skipped where the recipe says so.",
    "document": "A row that was kept: one post, comment or text. Documents of the same text are embedded once.",
    "topic": "A cluster of documents whose embeddings are near each other (k-means; Lloyd 1982), described by the "
    "terms that set it apart. It keeps its number from night to night as long as it goes on.",
    "terms": "Words and pairs of words by c-TF-IDF (Grootendorst 2022): frequent in the topic, rare elsewhere.",
    "coherence": "Mean normalised pointwise mutual information of a topic's terms over whole documents (Bouma 2009): 1 "
    "where they always appear together, 0 where by chance, below 0 where they avoid each other.",
    "event": "What became of a topic since the night before: it goes on, was born, split off or merged; a topic that "
    "none goes on from has died.",
    "level": "A lasting change of a topic's share of the documents, found by change points (PELT; Killick, Fearnhead "
    "and Eckley 2012).",
    "map": "A sample of the documents, drawn by a hash of their texts, laid out in two dimensions (t-SNE; van der "
    "Maaten and Hinton 2008). Near places mean similar texts; far distances, directions and axes mean nothing.",
    "tie": "An edge of a graph of people. How often it happened is its weight.",
    "chance": "Random graphs in which everybody has as many ties as in the real one; z is how many of their standard "
    "deviations the real value is away from their mean.",
    "community": "People with more ties among each other than their numbers of ties explain (Leiden; Traag, Waltman "
    "and van Eck 2019).",
    "hub": "Hubs point to good authorities, authorities are pointed to by good hubs (HITS; Kleinberg 1999); in graphs "
    "without directions both are the same.",
    "lorenz": "The share of all posts, comments or scores that the least active share of people have together (Lorenz "
    "1905). Gini: 0 where all have the same, 1 where one has all.",
    "hour": "Of events with a time, on days that are observed from their first hour to the last, those that begin in "
    "each hour of the day (UTC).",
    "degree": "Ties of a person. The chart shows the share of people with so many or more, both axes logarithmic, with "
    "the tails of a power law and a lognormal fitted to it (Clauset, Shalizi and Newman 2009).",
    "topic_by_community": "log2 of documents of a topic in a community over those expected were topics the same in all "
    "communities: +1 is twice as many, -1 half. A star: beyond chance (communities shuffled over authors, false "
    "discoveries controlled at 5 %; Benjamini and Hochberg 1995).",
    "small": "Groups of fewer people than the recipe's report.min_cell are neither named nor counted apart.",
    "padding": "The share of computed tokens that are no text: 0 is best.",
    "parity": "The smallest cosine between a stored vector and plain transformers, one text at a time in float32: 1 "
    "is the same direction.",
}


def graph_name(graph: str) -> str:
    """A graph in plain words."""
    return GRAPHS.get(graph, (graph.replace("_", " "), ""))[0]


def statistic_name(name: str) -> str:
    """A statistic in plain words."""
    return STATISTICS.get(name, name.replace("_", " "))
