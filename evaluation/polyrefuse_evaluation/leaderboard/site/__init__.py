"""The leaderboard as a static site: pages, data and downloads, without a request to any other host.

Reading order: `data` (what the page's scripts read), `downloads` (CSV, JSON, BibTeX, README),
`model_page` and `language_page` (what such a page shows), `pages` (templates to HTML), `build`
(submissions to a folder of files). `assets/` holds style and scripts; ``table-core.js`` is
@tanstack/table-core 8.21.3 as published on npm (MIT, its licence beside it).
"""
