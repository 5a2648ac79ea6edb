/* SPDX-License-Identifier: Apache-2.0 */
/* Models behind URLs: what was fetched, and what lies on the disk. */
#include "application/fetching/fetching.h"
#include "interfaces/rest/operations/metrics_page.h"

void px_put_fetching_metrics(const struct px_metrics_page *page)
{
    static const struct px_fetch_counts no_counts;
    static const struct px_model_cache_counts no_cache;
    const struct px_fetching *fetching = px_serving_fetching(page->rest->settings.serving);
    const struct px_model_cache *cache = fetching ? px_fetching_cache(fetching) : NULL;
    const struct px_fetch_counts *counts = fetching ? px_fetching_counts(fetching) : &no_counts;
    const struct px_model_cache_counts *kept = cache ? px_model_cache_counts(cache) : &no_cache;
    struct px_buf *out = page->out;
    px_put_gauge(out, "phoenix_model_cache_bytes",
                 "Disk that fetched models take, those on their way included.",
                 (double)px_metric_get(&kept->bytes));
    px_put_gauge(out, "phoenix_model_cache_max_bytes",
                 "repository.cache_bytes_max; 0 when there is no limit, or no URL.",
                 cache ? (double)px_model_cache_bytes_max(cache) : 0);
    px_put_counter(out, "phoenix_model_cache_hits_total",
                   "Versions behind URLs that were wanted and lay in the cache.",
                   px_metric_get(&counts->hits));
    px_put_counter(out, "phoenix_model_cache_evictions_total",
                   "Versions that left the cache to make room.", px_metric_get(&kept->evictions));
    px_put_counter(out, "phoenix_model_cache_evicted_bytes_total",
                   "Bytes of files that left the cache.", px_metric_get(&kept->evicted_bytes));
    px_put_counter(out, "phoenix_model_fetches_total", "Versions that were fetched.",
                   px_metric_get(&counts->fetches));
    px_put_counter(out, "phoenix_model_fetch_failures_total", "Versions that could not be fetched.",
                   px_metric_get(&counts->failed));
    px_put_counter(out, "phoenix_model_fetch_bytes_total", "Bytes that came.",
                   px_metric_get(&counts->bytes));
    px_put_counter(out, "phoenix_model_fetch_resumed_bytes_total",
                   "Bytes that were there of files whose fetch went on where it had ended.",
                   px_metric_get(&counts->resumed_bytes));
    px_put_counter(out, "phoenix_model_fetch_retries_total",
                   "Reads that were tried again after a failure that may pass.",
                   px_metric_get(&counts->retries));
    px_put_seconds_total(out, "phoenix_model_fetch_seconds_total",
                         "Time that fetches took, failed ones too.", px_metric_get(&counts->ns));
    px_put_counter(out, "phoenix_model_index_reads_total",
                   "Indexes of repositories behind URLs that were read, or found unchanged.",
                   px_metric_get(&counts->index_reads));
    px_put_counter(out, "phoenix_model_index_failures_total",
                   "Indexes that could not be read; what was known stays.",
                   px_metric_get(&counts->failed_index_reads));
}
