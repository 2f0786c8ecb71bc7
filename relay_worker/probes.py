"""``/healthz``: the process answers. ``/readyz``: database, migrations and broker do."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from relay_worker.checkup import Finding, broker, database, migrations


@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok\n", content_type="text/plain")


@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    findings: list[Finding] = [check() for check in (database, migrations, broker)]
    status = 200 if all(finding.good for finding in findings) else 503
    # the details are for the operator's shell: this page is not behind a login
    return JsonResponse({finding.name: "ok" if finding.good else "trouble" for finding in findings}, status=status)
