import shop.kernel.ids
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('payments', '0003_ledger'),
    ]

    operations = [
        migrations.CreateModel(
            name='Finding',
            fields=[
                ('id', models.UUIDField(default=shop.kernel.ids.new_id, primary_key=True, serialize=False)),
                ('kind', models.TextField(choices=[('paid_unknown_here', 'paid_unknown_here'), ('paid_unsettled_here', 'paid_unsettled_here'), ('unpaid_there', 'unpaid_there'), ('missing_there', 'missing_there'), ('amount_mismatch', 'amount_mismatch'), ('session_differs', 'session_differs'), ('double_charge', 'double_charge'), ('paid_without_order', 'paid_without_order'), ('order_without_money', 'order_without_money'), ('refund_unknown_here', 'refund_unknown_here'), ('refund_differs', 'refund_differs'), ('refund_missing_there', 'refund_missing_there'), ('ledger_differs', 'ledger_differs')])),
                ('gateway', models.TextField()),
                ('subject', models.TextField()),
                ('attempt_id', models.UUIDField(blank=True, null=True)),
                ('order_id', models.UUIDField(blank=True, null=True)),
                ('detail', models.TextField()),
                ('state', models.TextField(choices=[('open', 'open'), ('fixed', 'fixed'), ('gone', 'gone'), ('dismissed', 'dismissed')], db_default='open', default='open')),
                ('resolution', models.TextField(blank=True, db_default='', default='')),
                ('found_at', models.DateTimeField()),
                ('seen_at', models.DateTimeField()),
                ('closed_at', models.DateTimeField(blank=True, null=True)),
            ],
            options={
                'db_table': 'payments_finding',
                'ordering': ['-id'],
            },
        ),
        migrations.AddIndex(
            model_name='finding',
            index=models.Index(fields=['state', '-id'], name='payments_finding_by_state'),
        ),
        migrations.AddIndex(
            model_name='finding',
            index=models.Index(condition=models.Q(('order_id__isnull', False)), fields=['order_id'], name='payments_finding_order'),
        ),
        migrations.AddIndex(
            model_name='finding',
            index=models.Index(condition=models.Q(('state', 'dismissed')), fields=['kind', 'gateway', 'subject'], name='payments_finding_dismissed'),
        ),
        migrations.AddConstraint(
            model_name='finding',
            constraint=models.UniqueConstraint(condition=models.Q(('state', 'open')), fields=('kind', 'gateway', 'subject'), name='payments_finding_one_open'),
        ),
        migrations.AddConstraint(
            model_name='finding',
            constraint=models.CheckConstraint(condition=models.Q(('kind__in', ['paid_unknown_here', 'paid_unsettled_here', 'unpaid_there', 'missing_there', 'amount_mismatch', 'session_differs', 'double_charge', 'paid_without_order', 'order_without_money', 'refund_unknown_here', 'refund_differs', 'refund_missing_there', 'ledger_differs'])), name='payments_finding_kind_known'),
        ),
        migrations.AddConstraint(
            model_name='finding',
            constraint=models.CheckConstraint(condition=models.Q(('state__in', ['open', 'fixed', 'gone', 'dismissed'])), name='payments_finding_state_known'),
        ),
    ]
