# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Average precision query by query over ready indices, compiled, the way compiled evaluations of re-ID code go about it."""


def average_precisions(long[:, ::1] indices, long[::1] q_pids, long[::1] g_pids, long[::1] q_camids, long[::1] g_camids):
    """Average precision of each query; NaN without a match."""
    cdef Py_ssize_t query, place, image
    cdef double total
    cdef long seen, hits
    found = []
    for query in range(indices.shape[0]):
        total, seen, hits = 0.0, 0, 0
        for place in range(indices.shape[1]):
            image = indices[query, place]
            if g_pids[image] == q_pids[query]:
                if g_camids[image] == q_camids[query]:
                    continue
                hits += 1
                total += hits / <double> (seen + 1)
            seen += 1
        found.append(total / hits if hits else float("nan"))
    return found
