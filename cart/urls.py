from django.urls import path

from cart.views import CartItemsView, OneCartItemView, OneCartView

urlpatterns = [
    path("cart/<str:user_id>", OneCartView.as_view()),
    path("cart/<str:user_id>/items", CartItemsView.as_view()),
    # SKUs of imported catalogues may contain a slash.
    path("cart/<str:user_id>/items/<path:sku>", OneCartItemView.as_view()),
]
